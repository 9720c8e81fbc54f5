"""Datasets made by Minari itself: vectors, dicts with a goal, and what does not fit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepcrl.core.buffers.sources import open_source
from deepcrl.core.types import EnvSpec


def episodes(goal_is_observed: bool = True, dicts: bool = True) -> list[dict[str, Any]]:
    """Two episodes of 4 and 6 actions; the second ends by itself."""
    rng, made = np.random.default_rng(0), []
    for num, terminated in ((4, False), (6, True)):
        observation = rng.normal(size=(num + 1, 3))
        achieved = observation[:, 1:] if goal_is_observed else rng.normal(size=(num + 1, 2))
        observed = {"observation": observation, "achieved_goal": achieved, "desired_goal": achieved * 0}
        action = rng.uniform(-1, 1, (num, 2)).astype(np.float32)
        made.append({"observations": observed if dicts else observation, "actions": action, "terminated": terminated})
    return made


def states(made: list[dict[str, Any]], *keys: str) -> np.ndarray:
    parts = [np.concatenate([episode["observations"][key] for key in keys], 1) for episode in made]
    return np.concatenate(parts).astype(np.float32)


def test_an_episode_has_one_state_more_than_actions(minari_dataset) -> None:
    made = episodes()
    source = open_source(minari_dataset(made))
    assert (source.num_states, source.state_dims, source.action_dim) == (12, (3, 5), 2)
    data = source.read(EnvSpec(3, 2, (1, 2)))
    assert np.array_equal(data.state, states(made, "observation"))
    assert data.last.nonzero()[0].tolist() == [4, 11]
    assert data.terminated.nonzero()[0].tolist() == [10]
    for first, episode in ((0, made[0]), (5, made[1])):
        actions = episode["actions"]
        assert np.allclose(data.action[first : first + len(actions)], actions)
        assert not data.action[first + len(actions)].any()


@pytest.mark.parametrize(
    ("goal_indices", "keys"),
    [((3, 4), ("observation", "achieved_goal")), ((0, 1), ("achieved_goal", "observation"))],
)
def test_the_achieved_goal_stands_where_the_env_says(
    minari_dataset, goal_indices: tuple[int, ...], keys: tuple
) -> None:
    made = episodes(goal_is_observed=False)
    data = open_source(minari_dataset(made)).read(EnvSpec(5, 2, goal_indices))
    assert np.array_equal(data.state, states(made, *keys))


def test_refuses_goal_indices_that_hold_another_goal(minari_dataset) -> None:
    path = minari_dataset(episodes(goal_is_observed=False))
    with pytest.raises(ValueError, match=r"has an achieved_goal that is not at the goal indices \[1, 2\] of the env's"):
        open_source(path).read(EnvSpec(5, 2, (1, 2)))


def test_a_vector_is_the_state(minari_dataset) -> None:
    made = episodes(dicts=False)
    source = open_source(minari_dataset(made))
    assert source.state_dims == (3,)
    data = source.read(EnvSpec(3, 2, (0,)))
    assert np.array_equal(data.state, np.concatenate([e["observations"] for e in made]).astype(np.float32))


def test_actions_are_scaled_to_the_unit_box(minari_dataset) -> None:
    made = episodes()
    data = open_source(minari_dataset(made, bound=2.0)).read(EnvSpec(3, 2, (1, 2)))
    assert np.allclose(data.action[:4], made[0]["actions"] / 2)


@pytest.mark.parametrize("observed", [{"position": np.zeros((3, 2))}, {"observation": np.zeros((3, 8, 8))}])
def test_refuses_what_is_no_vector(minari_dataset, observed: dict[str, np.ndarray]) -> None:
    episode = {"observations": observed, "actions": np.zeros((2, 2), np.float32), "terminated": False}
    with pytest.raises(
        ValueError, match=r"^buffer.path=test/made-v0 observes Dict.* acts in Box.*: vectors are needed$"
    ):
        open_source(minari_dataset([episode]))


def test_a_folder_names_a_dataset_too(minari_dataset, tmp_path: Path) -> None:
    made = episodes()
    folder = tmp_path / "minari" / minari_dataset(made)
    data = open_source(str(folder)).read(EnvSpec(3, 2, (1, 2)))
    assert np.array_equal(data.state, states(made, "observation"))


def test_refuses_a_dataset_that_is_not_here(minari_dataset) -> None:
    with pytest.raises(ValueError, match=r"^buffer.path=point/maze-v0 is not there; it names a FILE.npz in [^\n]*$"):
        open_source("point/maze-v0")


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ValueError, match=r"^buffer.path=point/maze-v0 needs Minari: pip install 'deepcrl\[offline\]'$"):
        open_source("point/maze-v0")
