"""The ring against a list of everything that was ever inserted, and its draws against the T x T definition."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.relabel import Geometric
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.components import RELABELS
from deepcrl.core.types import EnvSpec, Observation, Step

SPEC = EnvSpec(state_dim=3, action_dim=2, goal_indices=(0, 2))


def inputs(num_envs, device, generator, relabel):
    return BufferInputs(SPEC, num_envs, device, generator, relabel, False, Path("nowhere"), 0)


def make_ring(num_envs, capacity, relabel="geometric", seed=0, **hyperparameters):
    generator = torch.Generator().manual_seed(seed)
    strategy = RELABELS.build({"name": relabel} | hyperparameters)
    return Ring(inputs(num_envs, torch.device("cpu"), generator, strategy), capacity=capacity)


def insert(ring, state, action, traj_id, goal=None, next_state=None, terminated=None):
    """Inserts one row, of which the ring may store all that is given."""
    zeros = torch.zeros(len(state))
    observation = Observation(state, torch.zeros(len(state), 2) if goal is None else goal)
    next_state, terminated = (
        state if next_state is None else next_state,
        zeros > 0 if terminated is None else terminated,
    )
    step = Step(observation, next_state, zeros, zeros > 0, terminated, zeros > 0, traj_id)
    ring.insert(observation, action, step)


def fill(ring, episode_ends):
    """Inserts a row per row of `episode_ends` [T, N]; the state is (step, env, trajectory), the action (step, env)."""
    traj_id = torch.zeros(ring.num_envs, dtype=torch.int64)
    rows = []
    env = torch.arange(ring.num_envs).float()
    for ends in torch.as_tensor(episode_ends):
        step = torch.full_like(env, ring.num_steps)
        insert(ring, torch.stack([step, env, traj_id.float()], 1), torch.stack([step, env], 1), traj_id)
        rows.append((ring.num_steps - 1, traj_id.clone()))
        traj_id = traj_id + ends
    return rows


# Weights of the offsets k = 1..n, up to their sum.
WEIGHTS = {
    "geometric": lambda k: 0.8**k,
    "geometric_clipped": lambda k: np.where(k < len(k), 0.2 * 0.8 ** (k - 1), 0.8 ** (len(k) - 1)),
    "uniform_future": np.ones_like,
    "final": lambda k: k == len(k),
    "next_k": lambda k: k <= 3,
}
HYPERPARAMETERS = {"geometric": {"discount": 0.8}, "geometric_clipped": {"discount": 0.8}, "next_k": {"k": 3}}


def exact_distribution(rows, capacity, num_envs, weights_of):
    """P(step, env, goal step) by the reference's definition: all pairs of rows, with their weights."""
    kept = rows[-capacity:]
    table = {}
    for env in range(num_envs):
        for i, (step, traj) in enumerate(kept):
            later = [s for s, other in kept[i + 1 :] if other[env] == traj[env]]
            weights = weights_of(np.arange(1.0, len(later) + 1)).astype(float)
            assert [s - step for s in later] == list(range(1, len(later) + 1))
            for s, w in zip(later, weights / weights.sum() if later else [], strict=True):
                table[step, env, s] = w
    drawable = len({key[:2] for key in table})
    return {key: p / drawable for key, p in table.items()}


ENDS = np.random.default_rng(0).random((23, 3)) < 0.2
CASES = {
    "one episode": np.zeros((9, 2), bool),
    "episode ends": ENDS[:11],
    "full": ENDS[:12],
    "wrapped by one": ENDS[:13],
    "wrapped": ENDS,
    "one-step episodes in one env": np.stack([np.ones(20, bool), np.zeros(20, bool)], 1),
}


@pytest.mark.parametrize("relabel", WEIGHTS)
@pytest.mark.parametrize("ends", CASES.values(), ids=CASES.keys())
def test_draws_follow_the_definition(ends, relabel):
    num_envs = ends.shape[1]
    ring = make_ring(num_envs, 12, relabel, **HYPERPARAMETERS.get(relabel, {}))
    expected = exact_distribution(fill(ring, ends.astype(np.int64)), 12, num_envs, WEIGHTS[relabel])
    num_draws = 60_000
    batch = ring.sample(num_draws)
    assert torch.equal(batch.action, batch.state[:, :2]), "the action belongs to the state"
    assert torch.equal(batch.goal[:, 1], batch.state[:, 2]), "the goal is of the same trajectory"
    drawn = torch.stack([batch.state[:, 0], batch.state[:, 1], batch.goal[:, 0]], 1).long()
    counts = dict.fromkeys(expected, 0)
    for key, count in zip(*np.unique(drawn.numpy(), axis=0, return_counts=True), strict=True):
        counts[tuple(int(k) for k in key)] += count  # KeyError: a pair that must never be drawn
    possible = [key for key, p in expected.items() if p > 0]
    observed = np.array([counts[key] for key in possible])
    assert observed.sum() == num_draws
    assert scipy.stats.chisquare(observed, num_draws * np.array([expected[key] for key in possible])).pvalue > 1e-4


def test_any_batch_size():
    ring = make_ring(2, 12)
    fill(ring, np.zeros((5, 2), np.int64))
    for size in (1, 3, 7, 1000):
        assert ring.sample(size).state.shape == (size, 3)


def test_state_dict_goes_on_exactly():
    for num_rows in (5, 12, 31):
        ring = make_ring(3, 12)
        fill(ring, ENDS.astype(np.int64)[np.arange(num_rows) % len(ENDS)])
        ring.sample(10)
        other = make_ring(3, 12, seed=99)
        other.load_state_dict(ring.state_dict())
        for r in (ring, other):
            insert(r, torch.ones(3, 3), torch.ones(3, 2), torch.full((3,), 77))
            insert(r, torch.ones(3, 3), torch.ones(3, 2), torch.full((3,), 77))
        for name in ("state", "action", "goal"):
            assert torch.equal(getattr(ring.sample(50), name), getattr(other.sample(50), name))


def test_the_state_dict_holds_only_what_is_filled():
    ring = make_ring(2, 1000)
    fill(ring, np.zeros((5, 2), np.int64))
    assert ring.state_dict()["state"].untyped_storage().nbytes() == 5 * 2 * 3 * 4


def test_does_not_move_or_grow():
    ring = make_ring(2, 4)
    before = ring._columns["state"].data_ptr(), ring.nbytes
    fill(ring, np.zeros((11, 2), np.int64))
    assert (ring._columns["state"].data_ptr(), ring.nbytes) == before


def test_knows_its_size_without_memory():
    ring = Ring(inputs(512, torch.device("meta"), torch.Generator(), Geometric()), capacity=10_000)
    assert ring.nbytes == pytest.approx(512 * 10_000 * (4 * 5 + 12), rel=1e-3)


@pytest.mark.parametrize("capacity", [1, -3])
def test_refuses_a_capacity_without_a_future(capacity):
    with pytest.raises(ValueError, match=f"buffer.capacity must be at least 2 steps per environment, got {capacity}"):
        make_ring(2, capacity)


def test_refuses_more_addresses_than_it_can_count():
    with pytest.raises(
        ValueError, match="buffer.capacity 2000000000 x num_envs 2 is 2\\^31 transitions or more; lower one"
    ):
        Ring(inputs(2, torch.device("meta"), torch.Generator(), Geometric()), capacity=2_000_000_000)
