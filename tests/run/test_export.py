"""What is exported is what was collected, and it can be learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepcrl.run.checkpoint import CheckpointError
from deepcrl.run.export import export
from deepcrl.run.recorder import Session
from deepcrl.run.saved import Saved
from deepcrl.train.build import build_run
from deepcrl.train.interrupt import Interrupt
from deepcrl.train.loop import fit

RINGS = ("ring", "disk_ring")


class Collected:
    """Notes what a run inserts."""

    def __init__(self, session: Session) -> None:
        self.rows: list[tuple[Any, ...]] = []
        buffer: Any = session.model.buffer
        insert = buffer.insert

        def noting(observation: Any, action: Any, step: Any) -> None:
            self.rows.append((observation.state.numpy(), action.numpy(), step.traj_id.numpy()))
            insert(observation, action, step)

        buffer.insert = noting


@pytest.mark.parametrize("buffer", RINGS)
@pytest.mark.parametrize("capacity", [20, 30, 200])
def test_every_step_in_the_ring_is_there_once(tiny, tmp_path: Path, buffer: str, capacity: int) -> None:
    session = Session(tiny(run_dir=str(tmp_path / "run"), buffer={"name": buffer, "capacity": capacity}))
    collected = Collected(session)
    session.run()
    arrays = export(Saved.read(tmp_path / "run"), tmp_path / "out.npz")
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
def test_an_agent_learns_from_what_another_collected(tiny, tmp_path: Path, buffer: str) -> None:
    Session(tiny(run_dir=str(tmp_path / "run"), buffer={"name": buffer, "capacity": 200})).run()
    export(Saved.read(tmp_path / "run"), tmp_path / "out.npz")
    offline = {"name": "dataset", "path": str(tmp_path / "out.npz")}
    config = tiny(run_dir=str(tmp_path / "offline"), buffer=offline, total_grad_steps=40, eval_every=20)
    session = Session(config)
    before = [p.detach().clone() for net in session.model.agent.networks.values() for p in net.parameters()]
    assert session.run() is not None
    after = [p for net in session.model.agent.networks.values() for p in net.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (Saved.read(tmp_path / "offline").env_steps, Saved.read(tmp_path / "offline").steps) == (0, 40)
    with pytest.raises(ValueError, match="offline has collected nothing: it learned from buffer=dataset$"):
        export(Saved.read(tmp_path / "offline"), tmp_path / "again.npz")


def test_a_checkpoint_before_the_first_step(tiny, tmp_path: Path) -> None:
    session = Session(tiny(run_dir=str(tmp_path / "run")))
    stop = Interrupt()
    stop.signal_number = 2
    fit(session.model, session, stop)
    with pytest.raises(ValueError, match="run has collected nothing yet$"):
        export(Saved.read(tmp_path / "run"), tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_refuses_paths(tiny, tmp_path: Path) -> None:
    Session(tiny(run_dir=str(tmp_path / "run"), total_env_steps=160)).run()
    saved, taken = Saved.read(tmp_path / "run"), tmp_path / "taken.npz"
    taken.write_text("mine")
    with pytest.raises(ValueError, match=r"^A dataset in OGBench's layout is an .npz file, got .*/out.h5$"):
        export(saved, tmp_path / "out.h5")
    with pytest.raises(ValueError, match="taken.npz exists; name another file, or remove it first$"):
        export(saved, taken)
    assert taken.read_text() == "mine"
    with pytest.raises(OSError, match="^Cannot save .*/nowhere/out.npz: No such file or directory$"):
        export(saved, tmp_path / "nowhere" / "out.npz")


def test_a_disk_ring_that_is_gone(tiny, tmp_path: Path) -> None:
    Session(tiny(run_dir=str(tmp_path / "run"), buffer={"name": "disk_ring", "capacity": 200})).run()
    (tmp_path / "run" / "ring" / "state.bin").unlink()
    with pytest.raises(CheckpointError, match="state.bin is missing"):
        export(Saved.read(tmp_path / "run"), tmp_path / "out.npz")


def test_the_dataset_has_to_be_the_same_when_the_run_goes_on(tiny, dataset: str) -> None:
    config = tiny(buffer={"name": "dataset", "path": dataset}, total_grad_steps=8)
    state = build_run(config).state_dict()
    with np.load(dataset) as file:
        np.savez(dataset, allow_pickle=False, **dict(file) | {"actions": file["actions"] / 2})
    with pytest.raises(ValueError, match="holds other data than when this was saved"):
        build_run(config).load_state_dict(state)
