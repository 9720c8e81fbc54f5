"""ChronoSRL: what it adds to SRL, and that it is SRL's value where nothing falls."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from deepcrl.core.agents.chronosrl import ChronoSRL
from deepcrl.core.agents.hitting.hazard import hazard_value
from deepcrl.core.agents.hitting.labels import Dwell, hitting_labels
from deepcrl.core.agents.hitting.occupancy import occupancy_labels
from deepcrl.core.components import AGENTS
from deepcrl.core.types import FutureBatch, Futures, Observation
from tests.core.agents.pieces import make_batch, make_inputs
from tests.training.test_resume import assert_goes_on, trained

HORIZON = 20


def make_agent(**settings: Any) -> ChronoSRL:
    small = {"horizon": HORIZON, "num_bins": HORIZON, "occupancy_bins": 6, "embedding_dim": 8, "basis_rank": 4}
    return ChronoSRL(make_inputs(), **{**small, **settings})


def make_walks(size: int = 32, *, falls: bool = True, seed: int = 0, chunk: int = 2) -> FutureBatch:
    """Walks along x, a unit of 0.3 each step, of 0 to 24 steps; every fourth falls."""
    g, rows = torch.Generator().manual_seed(seed), torch.arange(size)
    steps_left = torch.randint(0, 25, (size,), generator=g) * (rows % 5 != 1)
    steps = torch.minimum(torch.arange(HORIZON), steps_left[:, None])
    ahead = torch.stack([0.3 * steps, torch.zeros_like(steps)], dim=2) + torch.randn(size, 1, 2, generator=g)
    later = torch.rand(size, chunk - 1, 3, generator=g) * (torch.arange(1, chunk) <= steps_left[:, None])[..., None]
    known = dataclasses.asdict(make_batch(size, seed)) | {"terminated": torch.zeros(size, dtype=torch.bool)}
    return FutureBatch(
        **known, steps_left=steps_left, fell=(rows % 4 == 0) & falls, next_actions=later, achieved_ahead=ahead
    )


def observations(num: int) -> Observation:
    g = torch.Generator().manual_seed(3)
    return Observation(torch.randn(num, 5, generator=g), torch.randn(num, 2, generator=g))


def test_without_falls_the_value_is_that_of_the_hazards() -> None:
    agent, seen = make_agent(), observations(6)
    agent.update(make_walks(falls=False))
    assert agent.fall_share == 0
    action = torch.rand(6, 6)
    logit0, logits, _ = agent._head(agent.embed(seen, action), agent.embed_goal(seen.goal))
    torch.testing.assert_close(agent.value(seen, action), hazard_value(logit0, logits, agent._weights))


def test_time_near_the_goal_counts_by_the_share_that_falls() -> None:
    agent, plain, seen = make_agent(), make_agent(occupancy_value=False), observations(6)
    batch = make_walks()
    counted = (batch.steps_left >= 1) & batch.fell & (batch.steps_left < HORIZON)
    share = counted.sum() / (batch.steps_left >= 1).sum()
    assert agent.update(batch)["actor/fall_share"] == share
    plain.update(batch)
    assert plain.fall_share == 0
    for other, mine in ((plain, agent), (agent, agent)):  # the critics have taken the same step
        action = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
        _, _, near = mine._head(mine.embed(seen, action), mine.embed_goal(seen.goal))
        worth = (near.sigmoid() * mine._occupancy_weights).sum(1)
        expected = plain.value(seen, action) + other.fall_share * worth
        torch.testing.assert_close(other.value(seen, action), expected)


def test_rows_whose_chunk_ends_early_teach_the_critic_nothing() -> None:
    batch = make_walks()
    early = batch.steps_left < 1
    assert early.any()
    other = dataclasses.replace(batch, state=torch.where(early[:, None], batch.state + 1, batch.state))
    losses = [make_agent().update(b)["critic/loss"] for b in (batch, other)]
    torch.testing.assert_close(*losses)
    padded = [make_agent(chunk_ends="zero_pad").update(b)["critic/loss"] for b in (batch, other)]
    assert not torch.isclose(*padded)


def test_random_goals_are_the_actors_only() -> None:
    plain, other, batch = make_agent(), make_agent(random_goals=0.5), make_walks()
    theirs, ours = plain.update(batch), other.update(batch)
    assert theirs["critic/loss"] == ours["critic/loss"]
    assert theirs["actor/loss"] != ours["actor/loss"]


def test_distances_become_times() -> None:
    """A walker on a line that takes a step of 0.3 each time, from where the state says.

    Without the separation, which knows a goal that another row reached only as one that this row did not.
    """
    settings = {"separation_coef": 0.0, "time_coef": 10.0, "critic_lr": 1e-2, "random_share": 0.0, "current_share": 0.0}
    agent = make_agent(chunk=1, radius=0.15, discount=0.8, **settings)
    g = torch.Generator().manual_seed(0)
    for _ in range(400):
        x = torch.rand(64, generator=g) * 2 - 1
        ahead = torch.stack([x[:, None] + 0.3 * torch.arange(HORIZON), torch.zeros(64, HORIZON)], dim=2)
        state = torch.zeros(64, 5)
        state[:, 0] = x
        left = torch.full((64,), 100)
        batch = dataclasses.replace(
            make_walks(64, chunk=1),
            state=state,
            action=torch.zeros(64, 3),
            achieved_ahead=ahead,
            steps_left=left,
            fell=left < 0,
        )
        agent.update(batch)
    state = torch.zeros(12, 5)
    goal = torch.stack([0.3 * torch.arange(1, 13), torch.zeros(12)], dim=1)
    action = torch.zeros(12, 3)
    with torch.no_grad():
        distance = (agent.embed(Observation(state, goal), action) - agent.embed_goal(goal)).norm(dim=1)
    times = -math.log(0.8) * torch.arange(1, 13)
    assert (distance - times).abs().mean() < 0.1
    assert torch.corrcoef(torch.stack([distance, times]))[0, 1] > 0.99
    closed = -(1 - 0.8 ** torch.arange(2, 14)) / 0.2
    assert (agent.value(Observation(state, goal), action) - closed).abs().mean() < 0.1


def test_says_what_batches_must_hold() -> None:
    defaults = AGENTS.defaults("chronosrl")
    assert ChronoSRL.needs_futures(defaults) == Futures(chunk=2, window=1000)
    dwelling = {"dwell_steps": 4, "dwell_stride": 2, "horizon": 50, "chunk": 3}
    assert ChronoSRL.needs_futures(defaults | dwelling) == Futures(chunk=3, window=56)


SETTINGS = {"horizon": 20, "embedding_dim": 8, "evaluation": "sample", "dwell_steps": 2}


@pytest.mark.parametrize("number", [46, 100])
def test_a_run_stopped_anywhere_goes_on(tiny, same, number: int) -> None:
    config = tiny(agent=AGENTS.defaults("chronosrl") | SETTINGS)
    assert_goes_on(config, number, trained(config), same)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"random_goals": 1.5}, r"^agent.random_goals is a share between 0 and 1, got 1.5$"),
        ({"chunk": 0}, r"^agent.chunk must be at least 1, got 0$"),
        ({"occupancy_bins": 0}, r"^agent.occupancy_bins must be at least 1, got 0$"),
        ({"time_coef": -1.0}, r"^agent.time_coef must be at least 0, got -1.0$"),
        ({"separation_coef": -1.0}, r"^agent.separation_coef must be at least 0"),
        ({"occupancy_coef": -1.0}, r"^agent.occupancy_coef must be at least 0"),
        ({"discount": 1.0}, r"^agent.discount must lie between 0 and 1, both excluded, got 1.0$"),
        ({"censor": "never"}, r"^Unknown agent.censor 'never'"),
        ({"embedding_dim": 0}, r"^agent.embedding_dim must be greater than 0, got 0$"),
    ],
)
def test_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as info:
        make_agent(**settings)
    assert "\n" not in str(info.value)


def test_metrics_say_what_the_labels_are_and_what_is_predicted_of_them() -> None:
    agent, batch = make_agent(), make_walks()
    goal = agent._draw_goals(batch, HORIZON, torch.Generator().manual_seed(0))
    labels = hitting_labels(batch, goal, radius=agent._radius, horizon=HORIZON, dwell=Dwell())
    later = [i for i in range(32) if labels.hit[i] and labels.time[i] > 0]
    assert 0 < len(later) < labels.hit.sum()
    metrics = {**labels.metrics(HORIZON), **agent._critic_loss(batch, goal, labels)[1]}
    assert metrics["critic/steps_to_goal"] == pytest.approx(float(labels.time[later].double().mean()))
    sa, g = agent._phi(torch.cat([batch.state, agent._chunks.of(batch)], dim=1)), agent._embed_goal(goal)
    by_distance = (sa - g).norm(dim=1)[later].mean() / -math.log(0.999)
    torch.testing.assert_close(metrics["critic/steps_by_distance"], by_distance, rtol=1e-4, atol=1e-3)
    share, seen = occupancy_labels(batch, goal[:, 0], radius=agent._radius, bins=agent._occupancy_bins, horizon=HORIZON)
    kept = (seen > 0) & (batch.steps_left >= 1)[:, None]
    _, _, logits = agent._head(sa, g)
    torch.testing.assert_close(metrics["critic/occupancy"], share[kept].mean())
    torch.testing.assert_close(metrics["critic/occupancy_predicted"], logits.sigmoid()[kept].mean())
