"""What a batch says of the rest of each trajectory, against a loop over everything that was inserted."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deepcrl.core.buffers.dataset import Dataset
from deepcrl.core.buffers.disk_ring import DiskRing
from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.relabel import Geometric
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.types import FutureBatch, Futures
from tests.conftest import assert_same
from tests.core.buffers.test_ring_transitions import SPEC, fill

CAPACITY = 12
FUTURES = Futures(falls=True, chunk=3, window=5)


def make_inputs(path: Path = Path("nowhere"), *, futures: bool = True) -> BufferInputs:
    generator, relabel = torch.Generator().manual_seed(0), Geometric(discount=0.8)
    cpu, needs = torch.device("cpu"), FUTURES if futures else None
    return BufferInputs(SPEC, 2, cpu, generator, relabel, not futures, path, 5, needs)


def future(log: list[dict], step: dict) -> tuple[list[dict], bool]:
    """The later steps of a step's trajectory, and whether it fell, by looking at every one."""
    same = [s for s in log if (s["env"], s["traj"]) == (step["env"], step["traj"])]
    return [s for s in same if s["t"] > step["t"]], any(s["end"] == 1 for s in same)


def check(batch: FutureBatch, log: list[dict]) -> None:
    steps = {(s["t"], s["env"]): s for s in log}
    for i, (t, env, _) in enumerate(batch.state.int().tolist()):
        later, fell = future(log, steps[t, env])
        assert (batch.steps_left[i].item(), batch.fell[i].item()) == (len(later), fell)
        actions = [s["t"] * 10 + s["env"] for s in later[: FUTURES.chunk - 1]]
        actions += [0] * (FUTURES.chunk - 1 - len(actions))
        assert batch.next_actions[i, :, 0].tolist() == actions
        achieved = [[s["t"], s["env"]] for s in [steps[t, env], *later][: FUTURES.window]]
        achieved += [achieved[-1]] * (FUTURES.window - len(achieved))
        assert batch.achieved_ahead[i].tolist() == achieved
    fatal = batch.steps_left == 0
    assert torch.equal(fatal, batch.terminated)
    assert torch.equal(batch.goal[fatal], batch.next_achieved[fatal])


@pytest.mark.parametrize("num_rows", [6, 12, 13, 40])
def test_steps_left_and_falls_are_those_of_a_loop(num_rows: int, tmp_path: Path) -> None:
    ring, on_disk = Ring(make_inputs(), capacity=CAPACITY), DiskRing(make_inputs(tmp_path), capacity=CAPACITY)
    log = fill(ring, num_rows)
    fill(on_disk, num_rows)
    batch = ring.sample(300)
    assert isinstance(batch, FutureBatch)
    assert batch.steps_left.dtype is torch.int64
    check(batch, log)
    assert batch.fell.any()
    assert not batch.fell.all()
    assert (batch.fell & (batch.steps_left == 0)).any()
    assert_same(dataclasses.asdict(on_disk.sample(300)), dataclasses.asdict(batch))


def test_the_rows_and_goals_are_those_of_a_ring_of_transitions() -> None:
    ring, plain = Ring(make_inputs(), capacity=CAPACITY), Ring(make_inputs(futures=False), capacity=CAPACITY)
    fill(ring, 30)
    fill(plain, 30)
    assert ring.nbytes == plain.nbytes + CAPACITY * 2 * 2 * 4  # what a window is read from: 2 goals of fp32
    ours, theirs = dataclasses.asdict(ring.sample(50)), dataclasses.asdict(plain.sample(50))
    assert_same({name: ours[name] for name in theirs}, theirs)
    assert ours.keys() - theirs.keys() == {"steps_left", "fell", "next_actions", "achieved_ahead"}


@pytest.mark.parametrize("kind", [Ring, DiskRing])
def test_goes_on_exactly_after_a_resume(kind: type[Ring], tmp_path: Path) -> None:
    ring = kind(make_inputs(tmp_path), capacity=CAPACITY)
    fill(ring, 30)
    other = kind(make_inputs(tmp_path), capacity=CAPACITY)
    other.load_state_dict(ring.state_dict())
    assert_same(dataclasses.asdict(other.sample(50)), dataclasses.asdict(ring.sample(50)))


def test_goals_of_other_trajectories_are_for_who_can_tell_what_they_are_worth() -> None:
    with pytest.raises(ValueError, match=r"buffer.random_goals=0.5 is for an agent that learns from transitions"):
        Ring(make_inputs(), capacity=CAPACITY, random_goals=0.5)


def test_of_a_dataset(minari_dataset, ogbench) -> None:
    """The state of a fall is one of its rows, but counts neither as a step survived nor as a goal of others."""
    states, actions = np.zeros((5, 3)), np.zeros((4, 1))
    states[:, 0] = np.arange(5)
    episodes = [
        {"observations": states + np.array([0, e, 0]), "actions": actions, "terminated": e == 1} for e in range(3)
    ]
    batch = Dataset(make_inputs(), path=minari_dataset(episodes)).sample(300)
    assert isinstance(batch, FutureBatch)
    assert torch.equal(batch.fell, batch.state[:, 1] == 1)
    assert torch.equal(batch.steps_left, 4 - batch.state[:, 0].long() - batch.fell.long())
    assert set(batch.state[batch.fell, 0].tolist()) == {0, 1, 2, 3}
    fatal = batch.steps_left == 0
    assert torch.equal(fatal, batch.terminated)
    assert torch.equal(batch.goal[fatal], batch.next_achieved[fatal])
    with pytest.raises(
        ValueError, match=r"does not say which trajectories fell, which agent.survival learns from; a M"
    ):
        Dataset(make_inputs(), path=ogbench(actions=np.zeros((17, 1))))


def test_without_windows_no_goal_is_kept_twice() -> None:
    inputs = make_inputs(futures=False)
    chunks, plain = (Ring(replace(inputs, futures=needs), capacity=CAPACITY) for needs in (Futures(chunk=3), None))
    assert chunks.nbytes == plain.nbytes
