from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deepcrl.core.components import AGENTS, BUFFERS, ENCODERS, ENVS
from deepcrl.report.published.scores import Match, matches
from tests.report.conftest import config_of

OF_THE_PAPER = (
    *("humanoid", "ant_big_maze_eval", "ant_u4_maze_eval", "ant_u5_maze_eval", "ant_hardest_maze", "arm_push_easy"),
    *("arm_push_hard", "arm_binpick_hard", "humanoid_u_maze", "humanoid_big_maze"),
)
OF_CHRONOSRL = ("ant_u4_maze", "ant_big_maze", "ant_hardest_maze", "ant_u5_maze", "humanoid", "humanoid_u_maze")
DWELL = {"dwell_steps": 32}
"""What the study gives its agents on humanoids."""


def agent(name: str, **settings: Any) -> dict[str, Any]:
    return AGENTS.defaults(name) | settings


def found(env: str, depth: int = 8, **settings: Any) -> dict[str, Match]:
    """What each study has, by its name."""
    return {match.published.study.name: match for match in matches(config_of(env, depth, **settings))}


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_every_task_of_the_paper_has_scores_and_curves_that_end_there(name: str) -> None:
    task = found(name)["paper"].published
    assert task.env_steps in (100_000_000, 200_000_000, 400_000_000)
    assert list(task.scores) == list(task.curves) == [4, 8, 16, 32, 64]
    for depth, (score, error) in task.scores.items():
        steps, curve = task.curves[depth]
        assert steps[-1] == task.env_steps
        assert task.goes_to_the_end(depth)
        assert (np.diff(steps) > 0).all()
        # the curve's last point is the mean of three epochs, the score that of five
        assert abs(curve[-1] - score) < max(2.5 * error, 0.1)


def test_a_table_1_score_and_the_score_on_the_way() -> None:
    task = found("humanoid")["paper"].published
    assert task.scores[64] == (649, 27)
    assert task.interval(64) == (649, 622, 676)
    assert task.at(64, 100e6) == 672
    assert task.at(4, 7.5e6) == pytest.approx(1.65)
    assert task.at(4, 1e6) is None, "nothing is reported before a twentieth of the budget"
    assert task.at(2, 7.5e6) is None


@pytest.mark.parametrize(
    ("env", "of", "depth", "expected"),
    [  # mean, lowest and highest of four seeds, by hand
        ("ant_u4_maze", agent("crl"), 8, (517.0, 451.2, 591.4)),
        ("ant_u4_maze", agent("crl", chunk=3), 8, (501.15, 316.0, 629.2)),
        ("ant_u4_maze", agent("srl"), 16, (833.7, 829.6, 838.4)),
        ("ant_u4_maze", agent("chronosrl"), 4, (860.55, 840.6, 874.2)),
        ("humanoid_u_maze", agent("chronosrl", **DWELL), 4, (20.25, 9.6, 26.2)),
    ],
)
def test_final_scores_of_the_later_study(env: str, of: dict[str, Any], depth: int, expected: tuple) -> None:
    match = found(env, depth, agent=of)["ChronoSRL study"]
    assert match.published.scores[match.depth] == match.published.interval(depth) == expected
    assert match.published.env_steps == 100_000_000
    assert match.published.study.num_seeds == 4
    assert "2609.36238" in match.published.study.source
    assert not match.published.goes_to_the_end(depth)


def test_the_later_study_early_in_training() -> None:
    chronosrl = found("ant_u4_maze", agent=agent("chronosrl"))["ChronoSRL study"].published
    assert [chronosrl.at(8, steps) for steps in (3e6, 5e6, 7.5e6, 10e6)] == [290, 528, 615.5, 703]
    crl = found("ant_u4_maze")["ChronoSRL study"].published
    assert crl.at(8, 4.97e6) == 48, "ours end with a whole unroll"
    assert (crl.at(8, 3e6), crl.at(8, 50e6), crl.at(16, 5e6)) == (None, None, None)


@pytest.mark.parametrize("env", OF_CHRONOSRL)
def test_every_task_of_the_later_study_is_one_of_ours(env: str) -> None:
    dwell = DWELL if env.startswith("humanoid") else {}
    assert found(env, agent=agent("chronosrl", **dwell))["ChronoSRL study"].published.method == "ChronoSRL"
    wrong = {} if dwell else DWELL
    assert not found(env, agent=agent("chronosrl", **wrong))


def test_a_method_that_does_not_know_a_setting_is_as_before_it() -> None:
    old = {"name": "crl", "actor_lr": 1e-3}
    assert matches(config_of("ant_u4_maze", 8) | {"agent": old})[0].published.method == "CRL"


def test_other_goals_are_another_task() -> None:
    assert list(found("ant_big_maze")) == ["ChronoSRL study"], "the paper scores far goals only"
    assert list(found("ant_big_maze_eval")) == ["paper"]
    assert list(found("ant_hardest_maze")) == ["paper", "ChronoSRL study"]
    assert not found("point_u_maze")
    assert not found("point_u_maze", eval_env=None)
    assert list(found("point_u_maze", eval_env=ENVS.defaults("ant_u4_maze"))) == ["ChronoSRL study"]


@pytest.mark.parametrize(
    "settings",
    [
        {"agent": agent("sac")},
        {"agent": agent("crl", chunk=2)},
        {"agent": agent("crl", survival="log_z")},
        {"agent": agent("chronosrl", chunk=1)},
        {"agent": {"name": "somebody_elses"}},
        {"agent": "crl"},
        {"depth": 12},
        {"encoder": ENCODERS.defaults("simba") | {"depth": 8}},
        {"encoder": {"name": "residual_mlp", "depth": [8]}},
        {"actor_encoder": ENCODERS.defaults("residual_mlp") | {"depth": 4}},
        {"env": ENVS.defaults("ant_u4_maze") | {"density": 5.0}},
        {"env": {"name": "somebody_elses"}},
        {"episode_length": 500},
        {"buffer": BUFFERS.defaults("dataset")},
        {"buffer": 3, "encoder": 3},
    ],
    ids=str,
)
def test_another_method_depth_or_task_has_nothing(settings: dict[str, Any]) -> None:
    depth = settings.pop("depth", 8)
    assert found("ant_u4_maze", 8)
    assert not matches(config_of("ant_u4_maze", depth) | settings)


def test_other_settings_may_differ() -> None:
    same = {"batch_size": 64, "actor_encoder": ENCODERS.defaults("residual_mlp") | {"depth": 8}}
    assert found("ant_u4_maze", loss="dcl", **same)
