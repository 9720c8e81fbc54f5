"""The trained agent of a run directory, and random actions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deepcrl.core.types import Observation
from deepcrl.run.checkpoint import CheckpointError, find, list_checkpoints
from deepcrl.run.policy import policy_of, random_policy, trained_agent
from deepcrl.training.run import Run
from deepcrl.training.validate import validated


@pytest.fixture
def run(tiny, train, tmp_path: Path) -> Run:
    """A trained run, as it is in memory in the end."""
    kept: list[Run] = []
    train(tiny(run_dir=str(tmp_path / "run"), total_env_steps=160), kept.append)
    return kept[0]


def test_of_the_newest_checkpoint_or_the_one_asked_for(run: Run, tmp_path: Path, same) -> None:
    newest = find(tmp_path / "run")
    assert (newest.run_dir, newest.env_steps) == (tmp_path / "run", 160)
    assert validated(newest.config) == run.config
    same(trained_agent(newest, run.config).state_dict(), run.agent.state_dict())
    older = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    assert (find(older.path).run_dir, find(older.path).env_steps) == (tmp_path / "run", 100)


def test_may_choose_its_actions_otherwise(run: Run, tmp_path: Path, tiny) -> None:
    checkpoint, observation = find(tmp_path / "run"), run.observation
    assert observation is not None
    choices = ("deterministic", "sample", "best_of")
    configs = [tiny(agent={"name": "crl", "embedding_dim": 8, "evaluation": choice}) for choice in choices]
    actions = [policy_of(trained_agent(checkpoint, config))(observation) for config in configs]
    assert not torch.equal(actions[0], actions[1])
    assert not torch.equal(actions[1], actions[2])
    assert torch.equal(actions[0], run.agent.act(observation, explore=False))


def test_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        find(tmp_path / "run")


def test_a_checkpoint_of_other_networks_is_refused_in_one_line(run: Run, tmp_path: Path, tiny) -> None:
    with pytest.raises(CheckpointError, match="does not fit this code or these settings: ") as raised:
        trained_agent(find(tmp_path / "run"), tiny(encoder={"name": "residual_mlp", "depth": 8, "width": 16}))
    assert "\n" not in str(raised.value)


def test_random_actions_fill_their_box_and_follow_the_seed(tiny) -> None:
    observation = Observation(torch.zeros(4000, 29), torch.zeros(4000, 2))
    ant = {"name": "ant"}
    act = random_policy(tiny(env=ant))
    actions = act(observation)
    assert actions.shape == (4000, 8)
    counts = torch.histc(actions, 20, -1, 1)
    assert counts.sum() == 32_000
    assert float(((counts - 1600) ** 2 / 1600).sum()) < 43.8  # chi-square, 19 degrees of freedom, p = 0.001
    assert not torch.equal(actions, act(observation))
    assert torch.equal(actions, random_policy(tiny(env=ant))(observation))
    assert not torch.equal(actions, random_policy(tiny(env=ant, seed=1))(observation))
