"""What is exported is what was collected, and it can be learned from."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepcrl.run.checkpoint import CheckpointError, find
from deepcrl.run.datasets.export import export
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.run import Run

RINGS = ("ring", "disk_ring")


class Collected:
    """Notes what a run inserts."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def __call__(self, run: Run) -> None:
        buffer: Any = run.buffer
        insert = buffer.insert

        def noting(observation: Any, action: Any, step: Any) -> None:
            self.rows.append((observation.state.numpy(), action.numpy(), step.traj_id.numpy()))
            insert(observation, action, step)

        buffer.insert = noting


@pytest.mark.parametrize("buffer", RINGS)
@pytest.mark.parametrize("capacity", [20, 30, 200])
def test_every_step_in_the_ring_is_there_once(tiny, train, tmp_path: Path, buffer: str, capacity: int) -> None:
    collected = Collected()
    train(tiny(run_dir=str(tmp_path / "run"), buffer={"name": buffer, "capacity": capacity}), collected)
    arrays = export(find(tmp_path / "run"), tmp_path / "out.npz")
    state, action, traj_id = (np.stack(column) for column in zip(*collected.rows[-capacity:], strict=True))
    expected = {"observations": [], "actions": [], "terminals": []}
    for env in range(4):
        for t in range(len(state)):
            expected["observations"].append(state[t, env])
            expected["actions"].append(action[t, env])
            is_last = t + 1 == len(state) or traj_id[t + 1, env] != traj_id[t, env]
            expected["terminals"].append(float(is_last))
    with np.load(tmp_path / "out.npz") as written:
        assert set(written) == set(expected) == set(arrays)
        for name, values in expected.items():
            assert np.array_equal(written[name], np.array(values, np.float32))
            assert written[name].dtype == np.float32


@pytest.mark.parametrize("buffer", RINGS)
def test_an_agent_learns_from_what_another_collected(tiny, train, tmp_path: Path, buffer: str) -> None:
    train(tiny(run_dir=str(tmp_path / "run"), buffer={"name": buffer, "capacity": 200}))
    export(find(tmp_path / "run"), tmp_path / "out.npz")
    offline = {"name": "dataset", "path": str(tmp_path / "out.npz")}
    config = tiny(run_dir=str(tmp_path / "offline"), buffer=offline, total_grad_steps=40, eval_every=20)
    before: list[torch.Tensor] = []
    after: list[torch.Tensor] = []

    def look(run: Run) -> None:
        after.extend(p for net in run.agent.networks.values() for p in net.parameters())
        before.extend(p.detach().clone() for p in after)

    assert train(config, look) is not None
    assert after
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (find(tmp_path / "offline").env_steps, find(tmp_path / "offline").steps) == (0, 40)
    with pytest.raises(ValueError, match="offline has collected nothing: it learned from buffer=dataset$"):
        export(find(tmp_path / "offline"), tmp_path / "again.npz")


def test_a_checkpoint_before_the_first_step(tiny, train, tmp_path: Path) -> None:
    def stop(run: Run) -> None:
        evaluate = run.evaluate

        def interrupted(interrupt: Interrupt) -> dict[str, float]:  # of the untrained policy
            signal.raise_signal(signal.SIGINT)
            return evaluate(interrupt)

        run.evaluate = interrupted

    with pytest.raises(SystemExit):
        train(tiny(run_dir=str(tmp_path / "run")), stop)
    with pytest.raises(ValueError, match="run has collected nothing yet$"):
        export(find(tmp_path / "run"), tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_refuses_paths(tiny, train, tmp_path: Path) -> None:
    train(tiny(run_dir=str(tmp_path / "run"), total_env_steps=160))
    saved, taken = find(tmp_path / "run"), tmp_path / "taken.npz"
    taken.write_text("mine")
    with pytest.raises(ValueError, match=r"^A dataset in OGBench's layout is an .npz file, got .*/out.h5$"):
        export(saved, tmp_path / "out.h5")
    with pytest.raises(ValueError, match="taken.npz exists; name another file, or remove it first$"):
        export(saved, taken)
    assert taken.read_text() == "mine"
    with pytest.raises(OSError, match="^Cannot save .*/nowhere/out.npz: No such file or directory$"):
        export(saved, tmp_path / "nowhere" / "out.npz")


def test_a_disk_ring_that_is_gone(tiny, train, tmp_path: Path) -> None:
    train(tiny(run_dir=str(tmp_path / "run"), buffer={"name": "disk_ring", "capacity": 200}))
    (tmp_path / "run" / "ring" / "state.bin").unlink()
    with pytest.raises(CheckpointError, match="state.bin is missing"):
        export(find(tmp_path / "run"), tmp_path / "out.npz")


def test_the_dataset_has_to_be_the_same_when_the_run_goes_on(tiny, dataset: str) -> None:
    config = tiny(buffer={"name": "dataset", "path": dataset}, total_grad_steps=8)
    state = build_run(config).state_dict()
    with np.load(dataset) as file:
        np.savez(dataset, allow_pickle=False, **dict(file) | {"actions": file["actions"] / 2})
    with pytest.raises(ValueError, match="holds other data than when this was saved"):
        build_run(config).load_state_dict(state)
