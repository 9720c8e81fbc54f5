"""Several rows of a batch from one trajectory, against a list of everything that was inserted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from deepcrl.core.buffers.dataset import Dataset
from deepcrl.core.buffers.disk_ring import DiskRing
from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.relabel import Geometric
from deepcrl.core.buffers.ring import Ring
from tests.conftest import assert_same
from tests.core.buffers.test_ring_transitions import SPEC, fill

CAPACITY = 12


def make_inputs(path: Path = Path("nowhere"), *, transitions: bool = False) -> BufferInputs:
    generator, relabel = torch.Generator().manual_seed(0), Geometric(discount=0.8)
    return BufferInputs(SPEC, 2, torch.device("cpu"), generator, relabel, transitions, path, 5)


def test_one_step_of_each_is_as_without_it() -> None:
    plain, ours = Ring(make_inputs(), capacity=CAPACITY), Ring(make_inputs(), capacity=CAPACITY, repeat=1)
    for ring in (plain, ours):
        fill(ring, 30)
    assert ours.nbytes == plain.nbytes
    assert_same(dataclasses.asdict(ours.sample(50)), dataclasses.asdict(plain.sample(50)))


def anchors(log: list[dict], transitions: bool) -> dict[tuple[int, int], list[int]]:
    """Of each trajectory (env, traj) in the ring the steps that can be drawn, by looking at all of them."""
    newest = max(s["t"] for s in log)
    kept = [s for s in log if s["t"] > newest - CAPACITY]
    found: dict[tuple[int, int], list[int]] = {}
    for s in kept:
        goes_on = any((o["env"], o["traj"]) == (s["env"], s["traj"]) and o["t"] == s["t"] + 1 for o in kept)
        if goes_on or (transitions and s["end"] == 1 and s["t"] < newest):
            found.setdefault((s["env"], s["traj"]), []).append(s["t"])
    return found


@pytest.mark.parametrize("num_rows", [6, 12, 13, 40])
@pytest.mark.parametrize("transitions", [False, True])
@pytest.mark.parametrize("kind", [Ring, DiskRing])
def test_each_drawn_trajectory_appears_three_times_at_any_of_its_steps(
    kind: type[Ring], transitions: bool, num_rows: int, tmp_path: Path
) -> None:
    ring = kind(make_inputs(tmp_path, transitions=transitions), capacity=CAPACITY, repeat=3)
    known = anchors(fill(ring, num_rows), transitions)
    state, counts = ring.sample(3 * 4000).state.int().view(3, 4000, 3), {}
    assert torch.equal(state[:, :, 1:], state[:1, :, 1:].expand(3, -1, -1))  # environment and trajectory
    for t, env, traj in state[1:].reshape(-1, 3).tolist():
        counts.setdefault((env, traj), []).append(t)
    assert {key: sorted(set(steps)) for key, steps in counts.items()} == known
    longest = max(known, key=lambda key: len(known[key]))
    drawn = [counts[longest].count(t) for t in known[longest]]
    assert scipy.stats.chisquare(drawn).pvalue > 1e-3


def test_goals_are_of_the_rows_own_future() -> None:
    ring = Ring(make_inputs(), capacity=CAPACITY, repeat=2)
    fill(ring, 40)
    batch = ring.sample(500)
    assert (batch.goal[:, 0] > batch.state[:, 0]).all()
    assert torch.equal(batch.goal[:, 1], batch.state[:, 1])


def test_a_batch_that_cannot_be_divided_is_filled_up() -> None:
    ring = Ring(make_inputs(), capacity=CAPACITY, repeat=3)
    fill(ring, 30)
    state = ring.sample(8).state
    assert state.shape == (8, 3)
    assert torch.equal(state[3:6, 1:], state[:3, 1:])
    assert torch.equal(state[6:, 1:], state[:2, 1:])


@pytest.mark.parametrize("kind", [Ring, DiskRing])
@pytest.mark.parametrize("num_rows", [7, 30])
def test_goes_on_exactly_after_a_resume(kind: type[Ring], num_rows: int, tmp_path: Path) -> None:
    ring = kind(make_inputs(tmp_path), capacity=CAPACITY, repeat=3)
    fill(ring, num_rows)
    other = kind(make_inputs(tmp_path), capacity=CAPACITY, repeat=3)
    other.load_state_dict(ring.state_dict())
    assert_same(dataclasses.asdict(other.sample(50)), dataclasses.asdict(ring.sample(50)))


def test_of_a_dataset(ogbench) -> None:
    data = Dataset(make_inputs(), path=ogbench(actions=np.zeros((17, 1))), repeat=2)
    traj, state = data._ring._flat("traj_id").tolist(), data._ring._flat("state").tolist()
    trajectory_of = {tuple(row): number for row, number in zip(state, traj, strict=True)}
    assert len(trajectory_of) == len(state)
    first, second = data.sample(200).state.view(2, 100, -1).tolist()
    assert [trajectory_of[tuple(row)] for row in first] == [trajectory_of[tuple(row)] for row in second]
    assert first != second


def test_refuses() -> None:
    with pytest.raises(ValueError, match="^buffer.repeat must be at least 1, got 0$"):
        Ring(make_inputs(), repeat=0)
