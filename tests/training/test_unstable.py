"""A simulation that becomes unstable while a run collects: recorded, counted, and not trained on."""

# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.components import RELABELS
from deepcrl.core.types import TransitionBatch
from deepcrl.envs import make_envs
from deepcrl.run.metrics import read_rows
from deepcrl.training.run import Run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where MuJoCo writes its log of warnings


@pytest.mark.parametrize("transitions", [False, True])
def test_the_buffer_never_gives_out_the_broken_step(transitions: bool) -> None:
    envs = make_envs({"name": "point_u_maze"}, num_envs=3, episode_length=1000, seed=0, num_threads=1)
    generator, relabel = torch.Generator().manual_seed(0), RELABELS.build({"name": "geometric"})
    inputs = BufferInputs(envs.spec, 3, torch.device("cpu"), generator, relabel, transitions, Path("nowhere"), 0)
    ring = Ring(inputs, capacity=30)
    envs.reset()
    envs.physics.field("qpos")[1] = torch.tensor([4.0, 8.0])  # a cell away from where it will start again
    observation = envs.step(torch.zeros(3, 2)).observation
    for number in range(20):
        action = torch.full((3, 2), 0.01 * number)
        if number == 9:
            envs.physics.field("qvel")[1, 0] = float("nan")
        step = envs.step(action)
        ring.insert(observation, action, step)
        observation = step.observation
    batch = ring.sample(5000)
    drawn, counts = (100 * batch.action[:, 0]).round().unique(return_counts=True)
    assert drawn.tolist() == list(range(19))
    assert counts[9] < 0.8 * counts[8]  # of two environments, not of three
    assert all(tensor.isfinite().all() for tensor in (batch.state, batch.goal))
    assert (batch.goal - batch.state[:, :2]).norm(dim=1).max() < 2.0  # no goal from beyond the restart
    if isinstance(batch, TransitionBatch):
        assert (batch.next_state - batch.state).norm(dim=1).max() < 1.0
        assert not batch.terminated.any()


def test_a_run_goes_on_and_tells_of_it(tiny, train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def spoil(run: Run) -> None:
        assert run.envs is not None
        run.envs.physics.field("qvel")[1, 0] = float("nan")

    train(tiny(run_dir=str(tmp_path / "run")), spoil)
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")[0]
    assert {row["env/unstable"] for row in rows if "env/unstable" in row} == {1}
    assert rows[-1]["env_steps"] == 400
    (dump,) = (tmp_path / "run" / "unstable").iterdir()
    assert np.isnan(np.load(dump)["physics"]).sum() == 1
    assert "Unstable simulations, reset and not trained on: 1; see " in capsys.readouterr().out
