"""What the ring draws for agents that learn from transitions, against a list of everything that was inserted."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.components import RELABELS
from deepcrl.core.types import Batch, EnvSpec, Observation, Step, TransitionBatch

SPEC = EnvSpec(state_dim=3, action_dim=1, goal_indices=(0, 1))
CPU = torch.device("cpu")
UNIFORM = {"name": "uniform_future"}
# Each relabelling, and the weights of its offsets k = 1..n, up to their sum.
OWN_GOALS = [
    ({"name": "geometric", "discount": 0.8}, lambda k: 0.8**k),
    (
        {"name": "geometric_clipped", "discount": 0.8},
        lambda k: np.where(k < len(k), 0.2 * 0.8 ** (k - 1), 0.8 ** (k - 1)),
    ),
    (UNIFORM, np.ones_like),
    ({"name": "final"}, lambda k: k == len(k)),
    ({"name": "next_k", "k": 3}, lambda k: k <= 3),
]


def make_ring(num_envs=2, capacity=12, transitions=True, seed=0, relabel=UNIFORM, **shares):
    generator = torch.Generator().manual_seed(seed)
    inputs = BufferInputs(SPEC, num_envs, CPU, generator, RELABELS.build(relabel), transitions, Path("nowhere"), 0)
    return Ring(inputs, capacity=capacity, **shares)


def fill(ring, num_rows, seed=0):
    """Inserts episodes that end by themselves or by their time limit; returns every step, as a list of dicts.

    States are (step, env, trajectory). The state that a step led to is that of the next row, or, at an episode's end,
    has 0.5 added to its step. The commanded goal is minus (trajectory, env).
    """
    generator = np.random.default_rng(seed)
    traj = np.zeros(ring.num_envs, int)
    env, log = np.arange(ring.num_envs), []

    def tensor(*columns):
        return torch.tensor(np.stack(columns, 1)).float()

    for t in range(num_rows):
        end = generator.choice([0, 1, 2], size=ring.num_envs, p=[0.6, 0.2, 0.2])
        state, next_state = tensor(env * 0 + t, env, traj), tensor(t + np.where(end, 0.5, 1.0), env, traj)
        observation = Observation(state, tensor(-traj, -env))
        terminated, truncated = torch.tensor(end == 1), torch.tensor(end == 2)
        zeros = torch.zeros(ring.num_envs)
        step = Step(observation, next_state, zeros, zeros > 0, terminated, truncated, torch.tensor(traj))
        ring.insert(observation, state[:, :1] * 10 + state[:, 1:2], step)
        for e in env:
            log.append({"t": t, "env": e, "traj": traj[e], "next": next_state[e].tolist(), "end": end[e]})
        traj = traj + (end > 0)
    return log


def drawable(log, capacity, num_rows):
    """Steps in the ring that are followed in it by one of their trajectory, or that terminated; the newest waits."""
    kept = [step for step in log if num_rows - capacity <= step["t"] < num_rows - 1]
    return [step for step in kept if step["end"] != 2]


@pytest.mark.parametrize("num_rows", [5, 12, 13, 30])
def test_transitions_say_where_the_action_led(num_rows):
    ring = make_ring()
    log = {(step["t"], step["env"]): step for step in fill(ring, num_rows)}
    batch = ring.sample(500)
    assert isinstance(batch, TransitionBatch)
    assert batch.terminated.any()
    for i in range(500):
        t, env, traj = batch.state[i].int().tolist()
        step = log[t, env]
        assert traj == step["traj"]
        assert batch.action[i].item() == 10 * t + env
        assert batch.terminated[i] == (step["end"] == 1)
        assert batch.next_achieved[i].tolist() == step["next"][:2]
        assert batch.next_state[i].tolist() == (batch.state[i].tolist() if step["end"] == 1 else step["next"])


def expected_goals(steps, rows, share_random, share_commanded, weights_of):
    """P(step, env, goal) by definition: the mixture of own future, random and commanded goals."""
    table = {}

    def add(step, goal, p):
        key = (step["t"], step["env"], *goal)
        table[key] = table.get(key, 0) + p / len(steps)

    for step in steps:
        later = [s["t"] for s in rows if (s["env"], s["traj"]) == (step["env"], step["traj"]) and s["t"] > step["t"]]
        own = [[float(t), float(step["env"])] for t in later] or [step["next"][:2]]
        weights = weights_of(np.arange(1.0, len(own) + 1)).astype(float)
        for goal, weight in zip(own, weights / weights.sum(), strict=True):
            add(step, goal, (1 - share_random - share_commanded) * weight)
        for other in steps:
            add(step, other["next"][:2], share_random / len(steps))
        add(step, [-float(step["traj"]), -float(step["env"])], share_commanded)
    return {key: p for key, p in table.items() if p > 0}


@pytest.mark.parametrize("num_rows", [8, 12, 25])
@pytest.mark.parametrize(
    ("random_goals", "commanded_goals"), [(0, 0), (1, 0), (0, 1), (0.25, 0), (0, 0.5), (0.25, 0.5)]
)
def test_goals_are_the_stated_mixture(num_rows, random_goals, commanded_goals):
    check_mixture(num_rows, random_goals, commanded_goals, UNIFORM, np.ones_like)


@pytest.mark.parametrize(("relabel", "weights_of"), OWN_GOALS, ids=[cfg["name"] for cfg, _ in OWN_GOALS])
def test_each_relabelling_can_be_mixed(relabel, weights_of):
    check_mixture(25, 0.25, 0.25, relabel, weights_of)


def test_every_relabelling_is_mixed_here():
    assert {cfg["name"] for cfg, _ in OWN_GOALS} == set(RELABELS)


def check_mixture(num_rows, random_goals, commanded_goals, relabel, weights_of):
    ring = make_ring(random_goals=random_goals, commanded_goals=commanded_goals, relabel=relabel)
    log, num_draws = fill(ring, num_rows, seed=3), 100_000
    rows = [step for step in log if step["t"] >= num_rows - 12]
    expected = expected_goals(drawable(log, 12, num_rows), rows, random_goals, commanded_goals, weights_of)
    batch = ring.sample(num_draws)
    drawn = torch.cat([batch.state[:, :2], batch.goal], 1).double().numpy()
    counts = dict.fromkeys(expected, 0)
    for key, count in zip(*np.unique(drawn, axis=0, return_counts=True), strict=True):
        counts[tuple(key.tolist())] += count  # KeyError: a pair that must never be drawn
    observed, probability = np.array(list(counts.values())), np.array(list(expected.values()))
    assert scipy.stats.chisquare(observed, num_draws * probability).pvalue > 1e-4


@pytest.mark.parametrize(("share", "batch_size", "rows"), [(0.25, 8, 2), (0.25, 7, 2), (0.1, 4, 0), (1.0, 5, 5)])
def test_the_rows_of_a_share_are_rounded(share, batch_size, rows):
    ring = make_ring(commanded_goals=share)
    fill(ring, 12)
    ring._columns["commanded"].fill_(-7)
    assert (ring.sample(batch_size).goal == -7).all(1).sum() == rows


def test_without_transitions_nothing_more_is_stored_or_drawn():
    plain, more, all_of_it = make_ring(transitions=False), make_ring(), make_ring(commanded_goals=0.5)
    fill(plain, 20)
    assert type(plain.sample(4)) is Batch
    per_transition = 2 * 12
    assert more.nbytes - plain.nbytes == per_transition * (4 * 2 + 1)
    assert all_of_it.nbytes - more.nbytes == per_transition * 4 * 2
    assert not {"next_achieved", "terminated", "commanded"} & plain.state_dict().keys()


@pytest.mark.parametrize("num_rows", [5, 12, 31])
def test_state_dict_goes_on_exactly(num_rows, same):
    ring, other = (make_ring(random_goals=0.3, commanded_goals=0.3, seed=seed) for seed in (0, 1))
    fill(ring, num_rows)
    ring.sample(10)
    other.load_state_dict(ring.state_dict())
    same(vars_of(ring.sample(50)), vars_of(other.sample(50)))


def vars_of(batch):
    return {
        name: getattr(batch, name) for name in ("state", "action", "goal", "next_state", "next_achieved", "terminated")
    }


@pytest.mark.parametrize(
    ("transitions", "shares", "message"),
    [
        (True, {"random_goals": 1.5}, "buffer.random_goals is a share between 0 and 1, got 1.5"),
        (True, {"commanded_goals": -0.1}, "buffer.commanded_goals is a share between 0 and 1, got -0.1"),
        (True, {"random_goals": 0.6, "commanded_goals": 0.6}, "0.6 and commanded_goals=0.6 exceed 1 together"),
        (False, {"random_goals": 0.5}, "buffer.random_goals=0.5 is for an agent that learns from transitions"),
        (False, {"commanded_goals": 1.0}, "buffer.commanded_goals=1.0 is for an agent that learns from transitions"),
    ],
)
def test_refuses_shares_that_make_no_sense(transitions, shares, message):
    with pytest.raises(ValueError, match=message):
        make_ring(transitions=transitions, **shares)
