"""Behaviour cloning against a slow, obvious implementation of one update."""

import copy

import pytest
import torch
from torch import nn

from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.gcbc import GCBC
from deepcrl.core.components import ENERGIES, LOSSES
from deepcrl.core.types import Batch, EnvSpec, Observation

SPEC = EnvSpec(state_dim=5, action_dim=3, goal_indices=(0, 1))


def plain(in_dim, out_dim, generator):
    net = nn.Sequential(nn.Linear(in_dim, 16), nn.SiLU(), nn.Linear(16, out_dim))
    for p in net.parameters():
        nn.init.uniform_(p, -0.4, 0.4, generator=generator)
    return net


def make_agent(precision="fp32", **hyperparameters):
    energy, loss = ENERGIES.build({"name": "norm"}), LOSSES.build({"name": "infonce"})
    inputs = AgentInputs(SPEC, plain, plain, plain, energy, loss, torch.device("cpu"), precision, seed=0)
    return GCBC(inputs, **hyperparameters)


def make_batch(size=32):
    g = torch.Generator().manual_seed(1)
    action = torch.rand(size, 3, generator=g) * 1.8 - 0.9
    return Batch(torch.randn(size, 5, generator=g), action, torch.randn(size, 2, generator=g))


def test_an_update_is_a_step_of_adam_up_the_log_likelihood():
    agent, batch = make_agent(), make_batch()
    actor = copy.deepcopy(agent.networks["actor"]).double()
    out = actor(torch.cat([batch.state, batch.goal], 1).double())
    std = (-5 + 3.5 * (torch.tanh(out[:, 3:]) + 1)).exp()
    squashed = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(out[:, :3], std), torch.distributions.TanhTransform()
    )
    loss = -squashed.log_prob(batch.action.double()).sum(1).mean()
    gradients = torch.autograd.grad(loss, list(actor.parameters()))
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["actor/loss"].double(), loss.detach(), rtol=1e-5, atol=1e-4)
    error = (out[:, :3].tanh() - batch.action).square().mean().detach()
    torch.testing.assert_close(metrics["actor/mse"].double(), error)
    norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
    torch.testing.assert_close(metrics["actor/gradient_norm"].double(), norm, rtol=1e-4, atol=0)
    for ours, before, g in zip(agent.networks["actor"].parameters(), actor.parameters(), gradients, strict=True):
        expected = before.detach() - 3e-4 * g / (g.abs() + 1e-8)
        torch.testing.assert_close(ours.detach().double(), expected, rtol=0, atol=2e-5)


def test_it_clones_actions_that_depend_on_state_and_goal():
    agent, batch = make_agent(actor_lr=1e-2), make_batch(256)
    action = (batch.state[:, :3] + batch.goal[:, :1]).mul(0.5).tanh()
    metrics = {}
    for _ in range(400):
        metrics = agent.update(Batch(batch.state, action, batch.goal))
    assert metrics["actor/mse"] < 0.01
    acted = agent.act(Observation(batch.state, batch.goal), explore=False)
    assert (acted - action).square().mean() < 0.01


def test_saturated_actions_keep_the_step_finite():
    agent, batch = make_agent(), make_batch()
    metrics = agent.update(Batch(batch.state, batch.action.sign(), batch.goal))
    assert all(value.isfinite() for value in metrics.values())
    assert all(p.isfinite().all() for p in agent.networks["actor"].parameters())


def test_state_dict_goes_on_exactly():
    batch = make_batch()
    agent, other = make_agent(), make_agent()
    observation = Observation(batch.state, batch.goal)
    for _ in range(3):
        agent.update(batch)
    agent.act(observation, explore=True)
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    a, b = agent.update(batch), other.update(batch)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert all(
        torch.equal(p, q)
        for p, q in zip(agent.networks["actor"].parameters(), other.networks["actor"].parameters(), strict=True)
    )
    first, second = agent.act(observation, explore=True), other.act(observation, explore=True)
    assert torch.equal(first, second)
    assert not torch.equal(first, agent.act(observation, explore=True))


def test_bf16_changes_the_numbers_a_little():
    full, half = (make_agent(precision).update(make_batch())["actor/loss"] for precision in ("fp32", "bf16"))
    assert full != half
    torch.testing.assert_close(full, half, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("hyperparameter", "value", "message"),
    [
        ("actor_lr", 0.0, "agent.actor_lr must be greater than 0, got 0.0"),
        ("exploration", "best_of", "action choice of this agent 'best_of'"),
        ("evaluation", "determinstic", "Did you mean 'deterministic'"),
    ],
)
def test_refuses_values_out_of_range(hyperparameter, value, message):
    with pytest.raises(ValueError, match=message):
        make_agent(**{hyperparameter: value})
