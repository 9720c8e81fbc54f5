"""QRL against a slow, obvious implementation of one update, and on a chain whose distances are known."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from deepcrl.core.agents.common.actor_losses import actor_loss_max_entropy
from deepcrl.core.agents.qrl import QRL
from deepcrl.core.types import Observation
from tests.core.agents.pieces import (
    after_adam,
    assert_parameters,
    double,
    make_batch,
    make_inputs,
    noise_of,
    squashed,
)

CRITIC = ("state_encoder", "goal_encoder", "dynamics")


def make_agent(energy="norm", **hyperparameters: Any) -> QRL:
    agent = QRL(make_inputs(energy=energy), embedding_dim=8, **hyperparameters)
    with torch.no_grad():
        agent.scalars["log_alpha"].fill_(-0.7)
    return agent


def reference(agent, batch, tolerance=0.25, offset=15.0, beta=0.1, coef=0.5):
    """The losses of one update in fp64, pair by pair; the actor's with the new critic."""
    nets = {name: double(net) for name, net in agent.networks.items()}
    alpha = agent.scalars["log_alpha"].detach().double().exp()
    multiplier = math.log1p(math.exp(agent.scalars["raw_multiplier"].item()))
    noise = noise_of(agent.generators["actor_noise"], 32, 3)
    s, a, g, s2, m = (
        t.double() for t in (batch.state, batch.action, batch.goal, batch.next_state, batch.next_achieved)
    )

    def d(x, y):
        return ((x - y) ** 2).sum().add(1e-6).sqrt()

    def model(z, action):
        return z + nets["dynamics"](torch.cat([z, action]))

    pushes, excesses, errors = [], [], []
    for i in range(32):
        z, z2, h = nets["state_encoder"](s[i]), nets["state_encoder"](s2[i]), nets["goal_encoder"](m[i])
        far = d(z, nets["goal_encoder"](m[i - 1]))
        pushes.append(torch.log(1 + torch.exp(beta * (offset - far))) / beta)
        ended = bool(batch.terminated[i])
        excesses.append(max(d(z, z2) - 1, 0 * far) ** 2 + max(d(z2, h) - (1 if ended else 0), 0 * far) ** 2)
        guess = model(z, a[i])
        errors.append(0 * far if ended else (d(guess, z2) ** 2 + d(z2, guess) ** 2) / 2)
    violation = torch.stack(excesses).mean() - tolerance**2
    loss = torch.stack(pushes).mean() + multiplier * violation + coef * torch.stack(errors).mean()
    after = {name: after_adam(loss, nets[name].parameters(), 3e-4) for name in CRITIC}
    with torch.no_grad():
        for name in CRITIC:
            for p, new in zip(nets[name].parameters(), after[name], strict=True):
                p.copy_(new)
    action, log_prob = squashed(nets["actor"](torch.cat([s, g], 1)), noise)
    ahead = [d(model(nets["state_encoder"](s[i]), action[i]), nets["goal_encoder"](g[i])) for i in range(32)]
    actor_loss = alpha * log_prob.mean() + torch.stack(ahead).mean()
    after["actor"] = after_adam(actor_loss, nets["actor"].parameters(), 3e-4)
    return loss.detach(), violation.detach(), actor_loss.detach(), after


@pytest.mark.parametrize("tolerance", [0.25, 5.0])
def test_an_update_is_the_papers(tolerance):
    settings: Any = {"push_offset": 15.0, "push_beta": 0.1, "dynamics_coef": 0.5, "initial_multiplier": 0.7}
    agent, batch = make_agent(tolerance=tolerance, **settings), make_batch()
    raw = agent.scalars["raw_multiplier"].item()
    loss, violation, actor_loss, after = reference(agent, batch, tolerance)
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["critic/loss"].double(), loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(metrics["critic/violation"].double(), violation, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(metrics["actor/loss"].double(), actor_loss, rtol=1e-5, atol=1e-5)
    assert metrics["critic/multiplier"].item() == pytest.approx(0.7)
    assert after.keys() == agent.networks.keys()
    for name, expected in after.items():
        assert_parameters(agent.networks[name], expected)
    # Adam's first step: up where the bound is broken, down where there is room
    assert (violation > 0) == (tolerance == 0.25)
    assert agent.scalars["raw_multiplier"].item() == pytest.approx(raw + 1e-2 * math.copysign(1, violation), abs=1e-6)


def chain(size: int = 6, copies: int = 8):
    """States 0 -> 1 -> ... -> size - 1, each step one way; the last one stays. The goals are the states' numbers."""
    place = torch.arange(size).repeat(copies)
    following = (place + 1).clamp_max(size - 1)
    state, goal = (
        torch.eye(size)[:, :5] - torch.eye(size)[:, 5:],
        torch.stack([torch.linspace(-1, 1, size), torch.linspace(-1, 1, size).square()], 1),
    )
    order = torch.randperm(len(place), generator=torch.Generator().manual_seed(0))
    place, following = place[order], following[order]
    base = make_batch(len(place))
    return (
        state,
        goal,
        replace(
            base,
            state=state[place],
            action=torch.zeros(len(place), 3),
            goal=goal[place],
            next_state=state[following],
            next_achieved=goal[following],
            terminated=torch.zeros(len(place), dtype=torch.bool),
        ),
    )


def test_distances_approach_the_number_of_steps():
    settings: Any = {"tolerance": 0.05, "push_offset": 15.0, "push_beta": 0.1, "initial_multiplier": 1.0}
    agent = make_agent("iqe", critic_lr=1e-2, multiplier_lr=0.2, **settings)
    states, goals, batch = chain()
    draws = torch.Generator().manual_seed(0)
    for _ in range(250):
        order = torch.randperm(len(batch.state), generator=draws)
        agent.update(type(batch)(*(getattr(batch, name)[order] for name in batch.__dataclass_fields__)))
    f, h = agent.state_encoder(states), agent.goal_encoder(goals)
    found = torch.stack([agent._distance(f[i].expand(6, -1), h) for i in range(6)])
    for start in range(6):
        for end in range(max(start, 1), 6):  # no step ends in 0
            assert found[start, end].item() == pytest.approx(end - start, abs=0.5), (start, end)
    assert found[5, 0] > found[0, 5]  # there is no way back


def test_the_actor_feels_the_model_and_moves_nothing_of_it():
    agent, batch = make_agent("iqe"), make_batch()
    before = copy.deepcopy(agent.networks)
    action, log_prob = agent._actor.rsample(policy := agent._actor.policy(batch.state, batch.goal))
    value = agent.value(Observation(batch.state, batch.goal), action)
    agent._actor.step(*actor_loss_max_entropy(policy, value, log_prob, entropy_coef=0.0))
    for name, net in agent.networks.items():
        moved = [not torch.equal(p, q) for p, q in zip(net.parameters(), before[name].parameters(), strict=True)]
        assert all(moved) if name == "actor" else not any(moved)
        assert name == "actor" or all(p.grad is None for p in net.parameters())


def test_best_of_takes_the_candidate_that_ends_nearest():
    observation = Observation(torch.randn(50, 5), torch.randn(50, 2))
    one, many = make_agent(), make_agent(exploration="best_of", num_candidates=16)

    def distance(agent):
        action = agent.act(observation, explore=True)
        return one._distance_after(observation.state, action, observation.goal).mean()

    assert distance(many) < distance(one)


@pytest.mark.parametrize("energy", ["cosine", "dot", "l2", "mrn_potential"])
def test_needs_a_quasimetric(energy):
    with pytest.raises(ValueError, match="^agent=qrl needs an energy that is minus a quasimetric, such as energy=iqe$"):
        make_agent(energy)


@pytest.mark.parametrize(
    ("hyperparameter", "value", "message"),
    [
        ("embedding_dim", 0, "agent.embedding_dim must be greater than 0, got 0"),
        ("critic_lr", 0.0, "agent.critic_lr must be greater than 0, got 0.0"),
        ("multiplier_lr", 0.0, "agent.multiplier_lr must be greater than 0, got 0.0"),
        ("initial_multiplier", 0.0, "agent.initial_multiplier must be greater than 0, got 0.0"),
        ("push_beta", 0.0, "agent.push_beta must be greater than 0, got 0.0"),
        ("push_offset", -1.0, "agent.push_offset must be at least 0, got -1.0"),
        ("tolerance", -1.0, "agent.tolerance must be at least 0, got -1.0"),
        ("dynamics_coef", -1.0, "agent.dynamics_coef must be at least 0, got -1.0"),
    ],
)
def test_refuses_values_out_of_range(hyperparameter, value, message):
    with pytest.raises(ValueError, match=message):
        QRL(make_inputs(), **{hyperparameter: value})
