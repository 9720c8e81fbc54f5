"""When goals are reached, against a loop over everything that was inserted into a ring, and which goals are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepcrl.core.agents.hitting.labels import Dwell, GoalDraws, HittingLabels, first_hit, hitting_labels
from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.relabel import Geometric
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.types import EnvSpec, FutureBatch, Futures, Observation, Step
from tests.core.agents.pieces import make_windows

SPEC = EnvSpec(state_dim=4, action_dim=3, goal_indices=(0, 1))
CAPACITY, ENVS, RADIUS = 30, 3, 1.0
ONE, THREE = Dwell(), Dwell(3, 2)


def walked(num_rows: int, window: int) -> tuple[Ring, list[dict[str, Any]]]:
    """A ring of walks over 3 x 3 places, and all of their steps. A state is its place, its step and its environment."""
    cpu, rng = torch.device("cpu"), np.random.default_rng(0)
    generator, relabel = torch.Generator().manual_seed(0), Geometric(discount=0.8)
    ring = Ring(
        BufferInputs(SPEC, ENVS, cpu, generator, relabel, False, Path("nowhere"), 0, Futures(window=window)),
        capacity=CAPACITY,
    )
    traj, log, nothing = np.zeros(ENVS, int), [], torch.zeros(ENVS)
    for t in range(num_rows):
        end = rng.choice(3, size=ENVS, p=[0.88, 0.06, 0.06])
        place = rng.integers(0, 3, (ENVS, 2))
        state = torch.tensor([[*place[e], t, e] for e in range(ENVS)]).float()
        seen = Observation(state, state[:, :2])
        fell, late = torch.tensor(end == 1), torch.tensor(end == 2)
        ring.insert(seen, torch.zeros(ENVS, 3), Step(seen, state, nothing, nothing > 0, fell, late, torch.tensor(traj)))
        log += [{"t": t, "env": e, "traj": traj[e], "place": place[e], "fell": end[e] == 1} for e in range(ENVS)]
        traj = traj + (end > 0)
    return ring, log


def slow(log: list[dict[str, Any]], t: int, env: int, goal: np.ndarray, horizon: int, dwell: Dwell, censor: str):
    """The label of one row, by looking at every step."""
    traj = next(s["traj"] for s in log if (s["t"], s["env"]) == (t, env))
    own = [s for s in log if (s["env"], s["traj"]) == (env, traj) and s["t"] >= t]
    fell, num_starts = own[-1]["fell"], min(horizon, len(own) - dwell.span)
    for j in range(num_starts):
        near = [np.linalg.norm(own[j + i * dwell.stride]["place"] - goal[i]) < RADIUS for i in range(dwell.steps)]
        if all(near):
            return True, j, True
    never = max(num_starts, 0) if censor == "observed" and not fell else horizon
    return False, never, fell or num_starts > 0


@pytest.mark.parametrize("num_rows", [8, 30, 31, 70])
@pytest.mark.parametrize("dwell", [ONE, Dwell(2), THREE], ids=str)
@pytest.mark.parametrize("censor", ["horizon", "observed"])
@pytest.mark.parametrize("horizon", [6, 40])
def test_labels_are_those_of_a_loop(num_rows: int, dwell: Dwell, censor: str, horizon: int) -> None:
    """Over the ring's border, the ends of trajectories that fell or were cut off, and those that still run."""
    ring, log = walked(num_rows, dwell.window(horizon) + 2)  # another agent may want to see more
    draw = GoalDraws(future=0.4, current=0.2, random=0.4, discount=0.9, dwell=dwell)
    batch = ring.sample(150)
    assert isinstance(batch, FutureBatch)
    goal = draw(batch, horizon, torch.Generator().manual_seed(1))
    labels = hitting_labels(batch, goal, radius=RADIUS, horizon=horizon, dwell=dwell, censor=censor)
    for i, (_, _, t, env) in enumerate(batch.state.int().tolist()):
        found = labels.hit[i].item(), labels.time[i].item(), labels.known[i].item()
        assert found == slow(log, t, env, goal[i].numpy(), horizon, dwell, censor), i
    assert labels.hit.any()
    assert not labels.hit.all()


@pytest.mark.parametrize("dwell", [ONE, THREE], ids=str)
def test_a_goal_of_the_own_future_or_present_is_always_reached(dwell: Dwell) -> None:
    ring, _ = walked(70, dwell.window(10))
    batch = ring.sample(300)
    assert isinstance(batch, FutureBatch)
    for future, current in ((1, 0), (0, 1)):
        draw = GoalDraws(future=future, current=current, random=0, discount=0.9, dwell=dwell)
        goal = draw(batch, 10, torch.Generator().manual_seed(1))
        labels = hitting_labels(batch, goal, radius=1e-9, horizon=10, dwell=dwell)
        there_is_one = batch.steps_left >= dwell.span
        assert torch.equal(labels.hit, there_is_one)
        assert torch.equal(labels.known, there_is_one | batch.fell)
        assert current == 0 or not labels.time[there_is_one].any()


def test_near_is_strictly_within_the_radius() -> None:
    achieved = torch.tensor([[[3.0, 4.0], [0.0, 5.0], [0.0, 4.5]]])
    assert first_hit(achieved, torch.zeros(1, 1, 2), radius=5.0).tolist() == [2]
    assert first_hit(achieved, torch.zeros(1, 1, 2), radius=5.1).tolist() == [0]
    assert first_hit(achieved, torch.zeros(1, 1, 2), radius=4.0).tolist() == [3]


def test_a_dwell_is_of_consecutive_steps_in_the_order_of_the_goal() -> None:
    achieved = torch.tensor([[0.0, 1, 0, 0, 1, 2, 0]])[..., None]
    goal = torch.tensor([[[0.0], [1.0], [2.0]]])
    assert first_hit(achieved, goal, radius=0.5).tolist() == [3]
    assert first_hit(achieved, goal[:, [0, 0]], radius=0.5).tolist() == [2]
    assert first_hit(achieved, goal[:, [2, 1]], radius=0.5).tolist() == [6]  # no start does


def numbered(size: int, steps_left: int, window: int) -> FutureBatch:
    """Rows in turn of a trajectory that achieves 0, 1, 2, ..., and of one that achieves 100, 101, ..."""
    step = torch.arange(window).clamp_max(steps_left).float()
    achieved = (step + 100.0 * (torch.arange(size) % 2)[:, None])[..., None]
    return make_windows(achieved, torch.full((size,), steps_left))


@pytest.mark.parametrize(("steps_left", "last"), [(4, 4), (50, 9)])
@pytest.mark.parametrize("shares", [(0.6, 0.1, 0.3), (12, 2, 6)])
def test_goals_are_drawn_in_their_shares(steps_left: int, last: int, shares: tuple[float, float, float]) -> None:
    """The future's are a geometric on 1..steps left, or within the horizon of 10, with nothing beyond."""
    num = 40_000
    draw = GoalDraws(future=shares[0], current=shares[1], random=shares[2], discount=0.7, dwell=ONE)
    batch = numbered(num, steps_left, 10)
    goal = draw(batch, 10, torch.Generator().manual_seed(0))[:, 0, 0]
    own = torch.where(torch.arange(num) % 2 > 0, goal - 100, goal).long()
    others = (own == 100) | (own == -100)
    assert others.float().mean() == pytest.approx(0.3, abs=0.01)
    found = torch.bincount(own[~others], minlength=last + 1) / num
    weight = 0.7 ** torch.arange(1, last + 1)
    expected = torch.cat([torch.tensor([0.1]), 0.6 * weight / weight.sum()])
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)


def test_goals_of_a_dwell_are_segments_or_one_place_again_and_again() -> None:
    draw = GoalDraws(future=0.5, current=0.0, random=0.5, discount=0.7, dwell=THREE)
    goal = draw(numbered(500, 8, 14), 10, torch.Generator().manual_seed(0))[..., 0]
    own = torch.where((torch.arange(500) % 2 > 0)[:, None], goal - 100, goal)
    others = own[:, 0].abs() == 100
    assert torch.equal(own[others], own[others][:, :1].expand(-1, 3))
    assert torch.equal(own[~others] - own[~others][:, :1], torch.tensor([0.0, 2, 4]).expand(len(own[~others]), 3))
    assert set(own[~others][:, 0].tolist()) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"future": -0.1}, r"^agent.future_share must be at least 0, got -0.1$"),
        ({"current": float("nan")}, r"^agent.current_share must be at least 0, got nan$"),
        ({"random": -1}, r"^agent.random_share must be at least 0, got -1$"),
        ({"future": 0, "current": 0, "random": 0}, r"shares of a whole, such as .*, got 0, 0 and 0$"),
        ({"discount": 1.0}, r"^agent.goal_discount must lie between 0 and 1, both excluded, got 1.0$"),
    ],
)
def test_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GoalDraws(**{"future": 0.8, "current": 0.1, "random": 0.1, "discount": 0.9, "dwell": ONE} | settings)


def test_refuses_an_unknown_censor() -> None:
    with pytest.raises(ValueError, match=r"^Unknown agent.censor 'observe'. Did you mean 'observed'\?"):
        hitting_labels(numbered(2, 3, 4), torch.zeros(2, 1, 1), radius=1.0, horizon=4, dwell=ONE, censor="observe")


@pytest.mark.parametrize(("hit", "steps"), [([True, True, True, False], 5.0), ([True, False, False, False], 20.0)])
def test_the_mean_time_is_of_goals_reached_later_and_the_horizon_if_there_are_none(hit: list, steps: float) -> None:
    labels = HittingLabels(torch.tensor(hit), torch.tensor([0, 4, 6, 20]), known=torch.ones(4, dtype=torch.bool))
    metrics = labels.metrics(20)
    assert metrics["critic/steps_to_goal"] == steps
    assert (metrics["critic/hit"], metrics["critic/at_goal"]) == (sum(hit) / 4, 0.25)
