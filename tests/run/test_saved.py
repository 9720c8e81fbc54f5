"""Saved: the policy of a run directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deepcrl.run.checkpoint import CheckpointError, list_checkpoints
from deepcrl.run.recorder import Session
from deepcrl.run.saved import Saved
from deepcrl.train.validate import validated


@pytest.fixture
def session(tiny, tmp_path: Path) -> Session:
    session = Session(tiny(run_dir=str(tmp_path / "run"), total_env_steps=160))
    session.run()
    return session


def test_reads_the_newest_checkpoint_or_the_one_asked_for(session: Session, tmp_path: Path, same) -> None:
    saved = Saved.read(tmp_path / "run")
    assert (saved.run_dir, saved.env_steps) == (tmp_path / "run", 160)
    assert validated(saved.config) == session.config
    agent = saved.agent(session.config)
    same(agent.state_dict(), session.model.agent.state_dict())
    older = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    assert (Saved.read(older).run_dir, Saved.read(older).env_steps) == (tmp_path / "run", 100)


def test_may_choose_its_actions_otherwise(session: Session, tmp_path: Path, tiny) -> None:
    saved = Saved.read(tmp_path / "run")
    observation = session.model.observation
    assert observation is not None
    choices = ("deterministic", "sample", "best_of")
    configs = [tiny(agent={"name": "crl", "embedding_dim": 8, "evaluation": choice}) for choice in choices]
    actions = [saved.agent(config).act(observation, explore=False) for config in configs]
    assert not torch.equal(actions[0], actions[1])
    assert not torch.equal(actions[1], actions[2])
    assert torch.equal(actions[0], session.model.agent.act(observation, explore=False))


def test_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        Saved.read(tmp_path / "run")


def test_a_checkpoint_of_other_networks_is_refused_in_one_line(session: Session, tmp_path: Path, tiny) -> None:
    saved = Saved.read(tmp_path / "run")
    with pytest.raises(CheckpointError, match="does not fit this code or these settings: ") as raised:
        saved.agent(tiny(encoder={"name": "residual_mlp", "depth": 8, "width": 16}))
    assert "\n" not in str(raised.value)
