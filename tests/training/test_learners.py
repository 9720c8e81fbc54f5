"""The collector experiment: one agent acts, others learn from the same batches (paper, figure 8)."""

from __future__ import annotations

import copy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from deepcrl.core.agents.gcbc import GCBC
from deepcrl.core.types import TransitionBatch
from deepcrl.run.checkpoint import find
from deepcrl.run.policy import trained_agent
from deepcrl.training.build import build_agent, build_buffer, build_run, env_spec
from deepcrl.training.config import RunConfig
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit
from deepcrl.training.sizing.table import preflight
from deepcrl.training.validate import validated
from tests.training.test_resume import Snapshots, StopAt, load, trained

CPU = torch.device("cpu")
LEARNERS = {"deep": {"encoder": {"depth": 8}}, "other": {"encoder": {"name": "simba", "width": 16}, "loss": {}}}


def learning(tiny, **changes: Any) -> RunConfig:
    return tiny(**{"learners": LEARNERS, "total_env_steps": 160} | changes)


def test_all_learn_from_identical_batches_and_one_acts(tiny) -> None:
    run = build_run(learning(tiny))
    acted, learned = [], []

    def watch(name: str, agent: Any) -> None:
        act, update = agent.act, agent.update

        def watched_act(observation: Any, *, explore: bool) -> Any:
            acted.append((name, explore, run._before_evaluation is not None))
            return act(observation, explore=explore)

        def watched_update(batch: Any) -> Any:
            learned.append((name, copy.deepcopy(batch)))
            return update(batch)

        agent.act, agent.update = watched_act, watched_update

    for name, agent in {"acting": run.agent, **run.learners}.items():
        watch(name, agent)
    fit(run, Snapshots(), Interrupt())
    everybody = {"acting", "deep", "other"}
    assert {(name, explore) for name, explore, evaluating in acted if not evaluating} == {("acting", True)}
    assert {(n, explore) for n, explore, evaluating in acted if evaluating} == {*product(everybody, (True, False))}
    assert [name for name, _ in learned] == 16 * ["acting", "deep", "other"]
    for step in range(16):
        (_, first), *others = learned[3 * step : 3 * step + 3]
        for _, batch in others:
            assert all(torch.equal(getattr(batch, key), getattr(first, key)) for key in ("state", "action", "goal"))


def test_a_learner_with_the_acting_agents_seed_becomes_its_twin(tiny, same) -> None:
    config = tiny(total_env_steps=160)
    run = build_run(config)
    run.learners["twin"] = build_agent(config, env_spec(config), CPU)
    fit(run, Snapshots(), Interrupt())
    ours, twin = run.agent.state_dict(), run.learners["twin"].state_dict()
    same(twin["networks"], ours["networks"])
    same(twin["optimizers"], ours["optimizers"])


def test_who_acts_does_not_notice_who_learns(tiny) -> None:
    alone, watched = trained(tiny(total_env_steps=160)), trained(learning(tiny))
    for plain, row in zip(alone.rows, watched.rows, strict=True):
        own = {key for key in plain if not key.startswith(("time/", "eval/")) and key != "wall_seconds"}
        assert {key: row[key] for key in own} == {key: plain[key] for key in own}


def test_learners_differ_as_told_and_start_from_other_weights(tiny) -> None:
    run = build_run(learning(tiny, learners={**LEARNERS, "same": {}}))
    depths = {name: learner.networks["actor"].weight.shape for name, learner in run.learners.items() if name != "other"}
    assert depths == {"deep": (8, 16, 16), "same": (4, 16, 16)}
    assert type(run.learners["other"].networks["actor"]).__name__ == "SimBa"
    ours, others = (agent.networks["actor"].get_parameter("weight") for agent in (run.agent, run.learners["same"]))
    assert not torch.equal(ours, others)


def test_metrics_and_scores_of_each_come_under_its_name(tiny) -> None:
    rows = trained(learning(tiny)).rows
    scores = {key for key in rows[0] if key.startswith("eval/")}
    assert {"eval/time_at_goal", "eval/final_distance_stderr"} <= scores
    for row in (rows[0], rows[-1]):
        assert {f"{name}/{key}" for name in LEARNERS for key in scores} <= row.keys()
    losses = [rows[-1][key] for key in ("critic/loss", "deep/critic/loss", "other/critic/loss")]
    assert len(set(losses)) == 3
    assert "deep/train/time_at_goal" not in rows[-1]


@pytest.mark.parametrize("at", [(100, 4), (120, 5)])
def test_resumes_bit_by_bit(tiny, same, at: tuple[int, int]) -> None:
    config = learning(tiny)
    straight, memory, run = trained(config), Snapshots(), build_run(config)
    fit(run, memory, StopAt(run, *at))
    resumed = build_run(config)
    resumed.load_state_dict(load(memory.states[at]))
    fit(resumed, memory, Interrupt())
    same(memory.rows, straight.rows)
    same(load(memory.states[160, 16]), load(straight.states[160, 16]))


@pytest.mark.parametrize("needs", [False, True])
def test_the_buffer_stores_what_a_learner_needs(tiny, monkeypatch, needs: bool) -> None:
    monkeypatch.setattr(GCBC, "needs_transitions", needs)
    config = learning(tiny, learners={"cloning": {"agent": {"name": "gcbc"}}})
    run = build_run(config)
    fit(run, Snapshots(), Interrupt())
    assert isinstance(run.buffer.sample(4), TransitionBatch) == needs
    plain = build_buffer(tiny(), env_spec(config), CPU)
    assert (run.buffer.nbytes > plain.nbytes) == needs


def test_preflight_counts_them(tiny) -> None:
    config = learning(tiny)
    sizes, run = preflight(config, env_spec(config), CPU), build_run(config)
    counted = {f"deep/{name}": net for name, net in run.learners["deep"].networks.items()} | run.agent.networks
    for name, net in counted.items():
        assert sizes.parameters[name] == sum(p.numel() for p in net.parameters())
    assert "other/actor" in sizes.parameters


def test_a_learner_is_read_from_a_checkpoint(tiny, train, tmp_path: Path, same) -> None:
    config, runs = learning(tiny, run_dir=str(tmp_path / "run")), []
    train(config, runs.append)
    checkpoint, (run,) = find(tmp_path / "run"), runs
    for name in LEARNERS:
        same(trained_agent(checkpoint, config, name).state_dict(), run.learners[name].state_dict())
    same(trained_agent(checkpoint, config).state_dict(), run.agent.state_dict())
    with pytest.raises(ValueError, match=r"^Unknown learner 'deeep'. Did you mean 'deep'\? Known: deep, other$"):
        trained_agent(checkpoint, config, "deeep")


def test_settings_of_a_learner(tiny) -> None:
    config = tiny(learners={"a": {"agent": {"actor_lr": 1.0}}, "b": {"agent": {"name": "gcbc"}}, "c": {}})
    a, b, c = (config.learner(name) for name in "abc")
    assert a.agent == config.agent | {"actor_lr": 1.0}
    assert b.agent == {"name": "gcbc"}
    assert (c.agent, c.encoder) == (config.agent, config.encoder)
    assert len({config.seed, a.seed, b.seed, c.seed}) == 4
    assert config.learner("a") == a
    assert validated(config.to_dict()) == config
    own_actor = tiny(actor_encoder={"name": "mlp", "width": 8}, learners={"a": {"actor_encoder": {"depth": 3}}})
    assert own_actor.learner("a").actor_encoder == {"name": "mlp", "width": 8, "depth": 3}


@pytest.mark.parametrize(
    ("learners", "message"),
    [
        ({"eval": {}}, "A learner cannot be called 'eval': its name comes before those of its metrics"),
        ({"a/b": {}}, "A learner cannot be called 'a/b': "),
        ({"deep": 3}, "learners.deep=3 sets nothing; name what differs, such as learners.deep.encoder.depth=4"),
        (
            {"deep": {"encoder": "mlp"}},
            "learners.deep.encoder=mlp sets nothing; .* such as learners.deep.encoder.name=",
        ),
        ({"deep": {"num_envs": 3}}, "Unknown setting of learner 'deep' 'num_envs'. Known: actor_encoder, agent, "),
        ({"deep": {"actor_encoder": {"depth": 3}}}, "learners.deep.actor_encoder needs a name, since the run has no "),
    ],
)
def test_refuses(tiny, learners: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        tiny(learners=learners)
