"""SRL against a slow update, and on a walk along a line whose hitting times are known."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.core.agents.hitting.hazard import hazard_nll, hazard_value
from deepcrl.core.agents.hitting.labels import hitting_labels
from deepcrl.core.agents.srl import SRL
from deepcrl.core.components import AGENTS, BUFFERS, ENCODERS
from deepcrl.core.types import FutureBatch, Futures, Observation
from deepcrl.training.build import build_run
from tests.core.agents.pieces import SPEC, after_adam, assert_parameters, double, make_inputs, make_windows, squashed

CRITIC = ("fusion", "head", "basis", "sa_encoder", "goal_encoder", "sa_norm", "goal_norm")
SETTINGS: dict[str, Any] = {"horizon": 6, "embedding_dim": 8, "basis_rank": 4, "discount": 0.9, "goal_discount": 0.8}


def make_agent(**settings: Any) -> SRL:
    agent = SRL(make_inputs(), **SETTINGS | settings)
    with torch.no_grad():
        agent.scalars["log_alpha"].fill_(-0.7)
    return agent


def make_walks(size: int = 32, window: int = 10, seed: int = 1) -> FutureBatch:
    """Random walks, of which some end, and some of these by a fall."""
    g = torch.Generator().manual_seed(seed)
    steps_left = torch.randint(0, window + 3, (size,), generator=g)
    walk = torch.randn(size, window, 2, generator=g).cumsum(1)
    last = torch.minimum(torch.arange(window), steps_left[:, None])
    fell = torch.arange(size) % 3 == 0
    return make_windows(walk.gather(1, last[..., None].expand(-1, -1, 2)), steps_left, fell, seed)


def reference(agent: SRL, batch: FutureBatch) -> tuple[Tensor, Tensor, dict[str, list[Tensor]]]:
    """Both losses of an update in fp64, the actor's with the new critic, and all parameters after it."""
    nets = {name: double(net) for name, net in agent.networks.items()}
    draws = {name: torch.Generator() for name in ("goals", "actor_noise")}
    for name, g in draws.items():
        g.set_state(agent.generators[name].get_state())
    goal = agent._draw_goals(batch, agent._horizon, draws["goals"])
    labels = hitting_labels(
        batch, goal, radius=agent._radius, horizon=agent._horizon, dwell=agent._dwell, censor=agent._censor
    )
    s, a, g = batch.state.double(), batch.action.double(), goal.double()

    def hazards(action: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        sa = nets["sa_norm"](nets["sa_encoder"](torch.cat([s, action], 1)))
        u = nets["head"](nets["fusion"](sa, nets["goal_norm"](nets["goal_encoder"](goal.flatten(1)))))
        return u[:, 0], nets["basis"](u[:, 1:])

    nll = hazard_nll(*hazards(a, g), labels, agent._bins)
    loss = nll[labels.known].mean()
    after = {name: after_adam(loss, nets[name].parameters(), 3e-4) for name in CRITIC}
    with torch.no_grad():
        for name in CRITIC:
            for p, new in zip(nets[name].parameters(), after[name], strict=True):
                p.copy_(new)
    noise = torch.randn(len(s), 3, generator=draws["actor_noise"]).double()
    action, log_prob = squashed(nets["actor"](torch.cat([s, g[:, 0]], 1)), noise)
    value = hazard_value(*hazards(action, g[:, :1].expand_as(g)), agent._weights.double())
    alpha = agent.scalars["log_alpha"].detach().double().exp() if agent._entropy_bonus else 0.0
    actor_loss = (alpha * log_prob - value).mean()
    after["actor"] = after_adam(actor_loss, nets["actor"].parameters(), 3e-4)
    return loss.detach(), actor_loss.detach(), after


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dwell_steps": 3, "dwell_stride": 2, "censor": "observed", "tail": True},
        {"num_bins": 3, "radius": 0.3, "entropy_bonus": False, "random_share": 0.8},
    ],
    ids=str,
)
def test_an_update_is_the_slow_one(settings: dict[str, Any]) -> None:
    agent, batch = make_agent(**settings), make_walks()
    loss, actor_loss, after = reference(agent, batch)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["critic/loss"].double(), loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(metrics["actor/loss"].double(), actor_loss, rtol=1e-5, atol=1e-5)
    assert 0 < metrics["critic/hit"] < 1
    assert after.keys() == agent.networks.keys()
    for name, expected in after.items():
        assert_parameters(agent.networks[name], expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("radius", 0.2), ("censor", "observed"), ("future_share", 0.1), ("current_share", 1.0), ("random_share", 2)],
        *[("goal_discount", 0.3), ("num_bins", 2), ("dwell_steps", 2), ("critic_lr", 1e-2), ("discount", 0.5)],
        *[("tail", True), ("entropy_bonus", False), ("random_goals", 0.5)],
    ],
)
def test_every_setting_is_read(name: str, value: Any) -> None:
    """By the critic, but for those that only its value, and so the actor, knows of."""
    plain, other, batch, changed = make_agent(), make_agent(**{name: value}), make_walks(128), set()
    for _ in range(2):
        theirs, ours = plain.update(batch), other.update(batch)
        changed = {metric for metric in ours if not torch.equal(ours[metric], theirs[metric])}
    assert "actor/loss" in changed
    assert ("critic/loss" in changed) == (name not in ("discount", "tail", "entropy_bonus", "random_goals"))


def test_the_radius_is_the_tasks_unless_another_is_set() -> None:
    assert (make_agent()._radius, make_agent(radius=0.2)._radius) == (SPEC.success_radius, 0.2)


def test_the_window_is_what_labels_are_read_from() -> None:
    defaults = AGENTS.defaults("srl")
    assert SRL.needs_futures(defaults) == Futures(window=1000)
    assert SRL.needs_futures(defaults | {"horizon": 6, "dwell_steps": 3, "dwell_stride": 2}) == Futures(window=10)
    ours, batch = [make_agent(dwell_steps=3, dwell_stride=2) for _ in range(2)], make_walks(window=14)
    short = replace(batch, achieved_ahead=batch.achieved_ahead[:, :10])
    a, b = (agent.update(seen) for agent, seen in zip(ours, (batch, short), strict=True))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_rows_that_tell_nothing_do_not_count() -> None:
    batch = make_walks(64)
    few = replace(batch, steps_left=batch.steps_left % 4, fell=torch.zeros(64, dtype=torch.bool))
    agent = make_agent(dwell_steps=3, future_share=0.0, random_share=0.0)  # nothing but the present
    goal = agent._draw_goals(few, 6, agent.generators["goals"])
    labels = hitting_labels(few, goal, radius=1.0, horizon=6, dwell=agent._dwell)
    assert torch.equal(labels.known, few.steps_left >= 2)
    logit0, logits = agent._hazards(few.state, few.action, agent._embed_goal(goal))
    kept = hazard_nll(logit0, logits, labels, agent._bins)[labels.known].mean()
    torch.testing.assert_close(agent._critic_loss(few, goal, labels)[0], kept)


def test_steps_in_the_order_critic_actor_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, order = make_agent(), []
    step = agent.step_optimizer
    monkeypatch.setattr(agent, "step_optimizer", lambda name: (order.append(name), step(name)))
    agent.update(make_walks())
    assert order == ["critic", "actor", "temperature"]


def test_the_actors_step_leaves_the_critic_untouched() -> None:
    agent, batch = make_agent(), make_walks()
    before = copy.deepcopy(agent.networks)
    agent._update_actor(batch.state, batch.goal)
    for name, net in agent.networks.items():
        moved = [not torch.equal(p, q) for p, q in zip(net.parameters(), before[name].parameters(), strict=True)]
        assert all(moved) if name == "actor" else not any(moved)
        assert name == "actor" or all(p.grad is None for p in net.parameters())


def line(size: int, seed: int) -> FutureBatch:
    """A walker on a line of 8 places goes on by one at each step, whatever it does, and stays at the last."""
    place = torch.randint(0, 8, (size,), generator=torch.Generator().manual_seed(seed))
    ahead = torch.stack([(place[:, None] + torch.arange(8)).clamp_max(7).float(), torch.zeros(size, 8)], 2) / 4
    batch = make_windows(ahead, torch.full((size,), 30), seed=seed)
    return replace(batch, state=torch.nn.functional.pad(ahead[:, 0], (0, 3)))


def test_values_approach_those_of_the_known_hitting_times() -> None:
    agent = make_agent(horizon=8, radius=0.1, critic_lr=1e-2, random_share=1.0, embedding_dim=16)
    for seed in range(200):
        batch = line(128, seed)
        goal = agent._draw_goals(batch, 8, agent.generators["goals"])
        labels = hitting_labels(batch, goal, radius=0.1, horizon=8, dwell=agent._dwell)
        agent.step("critic", agent._critic_loss(batch, goal, labels)[0])
    place = torch.arange(8) / 4
    state = torch.nn.functional.pad(place[:, None], (0, 4)).repeat_interleave(8, 0)
    goal = torch.nn.functional.pad(place[:, None], (0, 1)).repeat(8, 1)
    value = agent.value(Observation(state, goal), torch.zeros(64, 3)).detach().view(8, 8)
    for start in range(8):
        for end in range(8):
            tau = end - start
            expected = 0.0 if tau == 0 else -(1 - 0.9 ** (tau + 1 if tau > 0 else 8)) / 0.1
            assert value[start, end].item() == pytest.approx(expected, abs=0.4), (start, end)


def test_best_of_takes_the_candidate_of_the_highest_value() -> None:
    observation = Observation(torch.randn(50, 5), torch.randn(50, 2))
    one, many = make_agent(dwell_steps=2), make_agent(dwell_steps=2, exploration="best_of", num_candidates=16)
    values = [one.value(observation, agent.act(observation, explore=True)).mean() for agent in (one, many)]
    assert values[1] > values[0]


def test_encoders_have_half_the_depth_and_the_head_all_of_it(tiny: Callable[..., Any]) -> None:
    encoder = ENCODERS.defaults("residual_mlp") | {"width": 16, "depth": 8}
    config = tiny(agent=AGENTS.defaults("srl"), encoder=encoder, goal_encoder=encoder | {"depth": 16})
    networks = build_run(config).agent.networks
    depths = {
        name: len(net.get_parameter("weight"))
        for name, net in networks.items()
        if name.endswith(("encoder", "head", "actor"))
    }
    assert depths == {"sa_encoder": 4, "goal_encoder": 8, "head": 8, "actor": 8}


def test_learns_from_a_dataset(tiny: Callable[..., Any], dataset: str) -> None:
    config = tiny(agent=AGENTS.defaults("srl"), buffer=BUFFERS.defaults("dataset") | {"path": dataset})
    run = build_run(config)
    metrics = run.agent.update(run.buffer.sample(64))
    assert all(value.isfinite() for value in metrics.values())
    assert 0.8 < metrics["critic/hit"] < 1  # goals of the future and the present, and some of the others


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 0}, "agent.horizon must be at least 1, got 0"),
        ({"num_bins": 0}, "agent.num_bins must be at least 1, got 0"),
        ({"radius": -1.0}, "agent.radius must be at least 0, got -1.0"),
        ({"dwell_steps": 0}, "agent.dwell_steps must be at least 1, got 0"),
        ({"dwell_stride": 0}, "agent.dwell_stride must be at least 1, got 0"),
        (
            {"dwell_steps": 4, "dwell_stride": 2},
            "agent.dwell_steps=4 x dwell_stride=2 does not fit into agent.horizon=6; lower one",
        ),
        ({"censor": "end"}, "Unknown agent.censor 'end'. Known: horizon, observed"),
        ({"future_share": -1.0}, "agent.future_share must be at least 0, got -1.0"),
        ({"goal_discount": 0.0}, "agent.goal_discount must lie between 0 and 1, both excluded, got 0.0"),
        ({"discount": 1.0}, "agent.discount must lie between 0 and 1, both excluded, got 1.0"),
        ({"embedding_dim": 0}, "agent.embedding_dim must be greater than 0, got 0"),
        ({"basis_rank": 0}, "agent.basis_rank must be greater than 0, got 0"),
        ({"critic_lr": 0.0}, "agent.critic_lr must be greater than 0, got 0.0"),
    ],
    ids=str,
)
def test_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_agent(**settings)


def test_refuses_a_task_without_a_radius() -> None:
    inputs = make_inputs(spec=replace(SPEC, success_radius=None))
    with pytest.raises(
        ValueError, match=r"^agent=srl learns when a goal is reached, .* set agent.radius, such as 0.5$"
    ):
        SRL(inputs)
    assert SRL(inputs, radius=0.5)._radius == 0.5
