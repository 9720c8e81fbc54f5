"""`buffer.sampling=paper` against the released code's T x T matrix of weights, and what windows promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.relabel import Geometric
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.types import EnvSpec, Futures, Observation, Step

SPEC = EnvSpec(state_dim=3, action_dim=2, goal_indices=(0, 2))
WINDOW, CAPACITY, ENVS, DISCOUNT = 5, 12, 2, 0.8
CPU = torch.device("cpu")


def inputs(seed: int = 0) -> BufferInputs:
    generator = torch.Generator().manual_seed(seed)
    relabel = Geometric(discount=DISCOUNT)
    return BufferInputs(SPEC, ENVS, CPU, generator, relabel, False, Path("nowhere"), 0, episode_length=WINDOW)


def filled(num_rows: int, seed: int = 0, sampling: str = "paper") -> tuple[Ring, np.ndarray]:
    """Returns a ring after `num_rows` rows, whose states are (step, env, trajectory), and all trajectories [T, N]."""
    ring = Ring(inputs(seed), capacity=CAPACITY, sampling=sampling)
    ends = np.random.default_rng(1).random((num_rows, ENVS)) < 0.25
    traj_id = np.cumsum(ends, axis=0) - ends
    for step, row in enumerate(torch.from_numpy(traj_id)):
        insert(ring, step, row)
    return ring, traj_id


def insert(ring: Ring, step: int, traj_id: torch.Tensor) -> None:
    env, no = torch.arange(ENVS).float(), torch.zeros(ENVS) > 0
    state = torch.stack([torch.full_like(env, step), env, traj_id.float()], 1)
    observation = Observation(state, torch.zeros(ENVS, 2))
    ring.insert(observation, state[:, :2], Step(observation, state, env, no, no, no, traj_id))


def released_weights(traj_id: np.ndarray) -> np.ndarray:
    """The released code's probabilities [T, T] of goal j for step i of a window (buffer.py:181-207)."""
    i = np.arange(len(traj_id))
    is_future = (i[:, None] < i[None, :]).astype(float)
    same = (traj_id[:, None] == traj_id[None, :]).astype(float)
    weights = is_future * DISCOUNT ** (i[None, :] - i[:, None]).astype(float) * same + np.eye(len(i)) * 1e-5
    return weights / weights.sum(axis=1, keepdims=True)


def released_shares(traj_id: np.ndarray) -> dict[tuple[int, int], float]:
    """How often a round of draws has step i with goal j, of one environment: over all windows, the last row dropped."""
    kept = range(max(0, len(traj_id) - CAPACITY), len(traj_id))
    starts = range(kept.start, kept.stop - WINDOW)
    shares: dict[tuple[int, int], float] = {}
    for start in starts:
        weights = released_weights(traj_id[start : start + WINDOW])
        for i in range(WINDOW - 1):
            for j in range(WINDOW):
                key = start + i, start + j
                shares[key] = shares.get(key, 0) + weights[i, j] / len(starts)
    return shares


@pytest.mark.parametrize("num_rows", [7, 12, 13, 31])
def test_draws_follow_the_released_code(num_rows: int) -> None:
    ring, traj_id = filled(num_rows)
    rounds, per_round = 4000, ENVS * (WINDOW - 1)
    drawn = [ring.sample(per_round) for _ in range(rounds)]
    state = torch.cat([batch.state for batch in drawn])
    goal = torch.cat([batch.goal for batch in drawn])
    assert torch.equal(goal[:, 1], state[:, 2]), "the goal is of the same trajectory"
    assert torch.equal(torch.cat([batch.action for batch in drawn]), state[:, :2]), "the action belongs to the state"
    for env in range(ENVS):
        shares = released_shares(traj_id[:, env])
        mine = state[:, 1] == env
        pairs = torch.stack([state[mine, 0], goal[mine, 0]], 1).long().tolist()
        counts = dict.fromkeys(shares, 0)
        for i, j in pairs:
            counts[i, j] += 1  # KeyError: a pair that must never be drawn
        for key, share in shares.items():  # a round has a pair once or not at all, so counts are binomial
            sigma = (rounds * share * (1 - min(share, 1 - 1e-9))) ** 0.5
            assert abs(counts[key] - rounds * share) < 5 * sigma + 1, key


def test_a_round_draws_each_step_of_one_window_per_environment_once() -> None:
    ring, _ = filled(31)
    batches = [ring.sample(2) for _ in range(ENVS * (WINDOW - 1) // 2)]
    state = torch.cat([batch.state for batch in batches])
    for env in range(ENVS):
        steps = state[state[:, 1] == env, 0].sort().values
        assert torch.equal(steps - steps[0], torch.arange(WINDOW - 1.0))
        assert 31 - CAPACITY <= steps[0] <= 31 - 1 - WINDOW, "the newest row is in no window"


def test_new_rows_bring_new_windows_and_what_is_left_of_the_old_is_not_drawn() -> None:
    ring, traj_id = filled(31)
    windows = ring._windows
    assert windows is not None
    ring.sample(2)
    before = windows._order.clone()
    ring.sample(2)
    assert torch.equal(windows._order, before)
    insert(ring, 31, torch.from_numpy(traj_id[-1]))
    ring.sample(2)
    assert not torch.equal(windows._order, before)
    assert windows._num_drawn == 2


@pytest.mark.parametrize("num_rows", [9, 31])
def test_a_saved_ring_goes_on_within_its_windows(num_rows: int) -> None:
    ring, _ = filled(num_rows)
    ring.sample(3)
    other = Ring(inputs(seed=99), capacity=CAPACITY, sampling="paper")
    other.load_state_dict(ring.state_dict())
    for _ in range(4):
        mine, others = ring.sample(3), other.sample(3)
        assert torch.equal(mine.state, others.state)
        assert torch.equal(mine.goal, others.goal)


@pytest.mark.parametrize(("name", "message"), [("order", "outside 0 to 7"), ("start", "outside 0 to 25")])
def test_a_damaged_state_is_refused(name: str, message: str) -> None:
    ring, _ = filled(31)
    ring.sample(2)
    state = ring.state_dict()
    state["windows"] = state["windows"] | {name: state["windows"][name] + 10}
    with pytest.raises(ValueError, match=f"{name} holds numbers {message}"):
        Ring(inputs(), capacity=CAPACITY, sampling="paper").load_state_dict(state)


def test_the_default_is_as_it_was() -> None:
    assert torch.equal(filled(31, sampling="uniform")[0].sample(50).state, _without_windows().sample(50).state)
    assert "windows" not in filled(31, sampling="uniform")[0].state_dict()
    assert filled(31)[0].nbytes > filled(31, sampling="uniform")[0].nbytes


def _without_windows() -> Ring:
    ring, _ = filled(31)
    ring._windows = None
    return ring


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({}, {"sampling": "papre"}, "Unknown buffer.sampling 'papre'. Did you mean 'paper'"),
        (
            {"transitions": True},
            {},
            "buffer.sampling=paper is for agents that learn from states and their future goals",
        ),
        (
            {"futures": Futures()},
            {},
            "buffer.sampling=paper is for agents that learn from states and their future goals",
        ),
        ({}, {"repeat": 2}, "buffer.repeat=2 draws several steps of a trajectory, sampling=paper each step once"),
        ({}, {"capacity": 5}, "windows of episode_length=5 steps: buffer.capacity must be greater, got 5"),
    ],
)
def test_what_windows_cannot_serve(changes: dict, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ring(replace(inputs(), **changes), **({"capacity": CAPACITY, "sampling": "paper"} | settings))
