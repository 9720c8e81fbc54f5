"""The base class of agents: its networks, targets, steps and state."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.components import AGENTS, ENERGIES, LOSSES
from deepcrl.core.types import EnvSpec
from deepcrl.training.config import GROUPS, OPTIONAL_GROUPS


def plain(in_dim: int, out_dim: int, generator: torch.Generator) -> nn.Module:
    net = nn.Linear(in_dim, out_dim)
    for p in net.parameters():
        nn.init.uniform_(p, -0.4, 0.4, generator=generator)
    return net


def make_agent(seed: int = 0, **stability: Any) -> TrainableAgent:
    spec = EnvSpec(state_dim=5, action_dim=3, goal_indices=(0, 1))
    energy, loss = ENERGIES.build({"name": "iqe"}), LOSSES.build({"name": "infonce"})
    agent = TrainableAgent(
        AgentInputs(spec, plain, plain, plain, energy, loss, torch.device("cpu"), "fp32", seed, **stability)
    )
    for name in ("a", "b"):
        agent.add_network(name, plain, 4, 2)
        agent.add_optimizer(name, list(agent.networks[name].parameters()), 0.1)
    agent.add_target("a")
    agent.add_scalar("number", 3.0)
    agent.add_generator("noise")
    return agent


def test_a_target_starts_as_its_network_and_is_no_leaf_of_any_gradient():
    agent = make_agent()
    network, target = agent.networks["a"], agent.targets["a"]
    x = torch.randn(6, 4)
    assert torch.equal(network(x), target(x))
    (network(x) - target(x)).square().sum().add(target(x).sum()).backward()
    assert all(p.grad is None for p in target.parameters())
    assert all(p.grad is not None for p in network.parameters())


def test_targets_move_by_the_share_tau():
    agent = make_agent()
    before = [p.detach().clone() for p in agent.targets["a"].parameters()]
    with torch.no_grad():
        for p in agent.networks["a"].parameters():
            p += 1
    fast = [p.detach().clone() for p in agent.networks["a"].parameters()]
    for _ in range(2):
        agent.move_targets(0.25)
    for old, new, now in zip(before, fast, agent.targets["a"].parameters(), strict=True):
        torch.testing.assert_close(now, 0.75**2 * old + (1 - 0.75**2) * new)
    assert all(torch.equal(p, q) for p, q in zip(agent.networks["a"].parameters(), fast, strict=True))
    agent.move_targets(1.0)
    assert all(torch.equal(p, q) for p, q in zip(agent.targets["a"].parameters(), fast, strict=True))


def test_a_step_moves_its_own_parameters_by_adam_and_returns_the_gradients_norm():
    agent = make_agent()
    a, b = (agent.networks[name] for name in ("a", "b"))
    before_a, before_b = copy.deepcopy(a), copy.deepcopy(b)
    x = torch.randn(6, 4)
    loss = (a(x) * b(x)).sum()
    gradients = torch.autograd.grad(loss, list(a.parameters()), retain_graph=True)
    norm = agent.step("a", loss)
    torch.testing.assert_close(norm, torch.cat([g.flatten() for g in gradients]).norm())
    for now, old, g in zip(a.parameters(), before_a.parameters(), gradients, strict=True):
        torch.testing.assert_close(now, old - 0.1 * g / (g.abs() + 1e-8))
    assert all(torch.equal(p, q) for p, q in zip(b.parameters(), before_b.parameters(), strict=True))


def follow(agent: TrainableAgent, num_steps: int, first: int = 0) -> None:
    for i in range(first, first + num_steps):
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(i))
        agent.step("a", 100 * agent.networks["a"](x).square().sum())


@pytest.mark.parametrize("clip", [0.0, 1.0, 1e6])
def test_gradients_are_clipped_to_a_norm(clip: float):
    agent, plain_agent = make_agent(gradient_clip=clip), make_agent()
    net, plain_net = agent.networks["a"], plain_agent.networks["a"]
    x = torch.randn(6, 4)
    norm = agent.step("a", 100 * net(x).square().sum())
    plain_norm = plain_agent.step("a", 100 * plain_net(x).square().sum())
    assert norm == plain_norm > 10  # what is reported is not clipped
    factor = min(clip / float(norm), 1.0) if clip else 1.0
    for p, q in zip(net.parameters(), plain_net.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(p.grad, factor * q.grad, rtol=1e-4, atol=0)
        moment = agent.optimizers["a"].state[p]["exp_avg"]
        torch.testing.assert_close(moment, 0.1 * p.grad)


def test_the_learning_rate_warms_up_linearly():
    agent, reference = make_agent(lr_warmup_steps=4), make_agent()
    for i in range(7):
        for group in reference.optimizers["a"].param_groups:
            group["lr"] = 0.1 * min((i + 1) / 4, 1)
        for each in (agent, reference):
            follow(each, 1, first=i)
        for p, q in zip(agent.networks["a"].parameters(), reference.networks["a"].parameters(), strict=True):
            torch.testing.assert_close(p, q)


def test_a_warm_up_goes_on_after_loading():
    whole, first, second = (make_agent(lr_warmup_steps=5) for _ in range(3))
    follow(whole, 4)
    follow(first, 2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    follow(second, 2, first=2)
    assert all(
        torch.equal(p, q)
        for p, q in zip(whole.networks["a"].parameters(), second.networks["a"].parameters(), strict=True)
    )


def test_modules_among_the_inputs_are_networks():
    agent = make_agent()
    energy, loss = ENERGIES.build({"name": "iqe"}), LOSSES.build({"name": "infonce"})
    assert agent.add_modules(energy=energy, loss=loss) == [energy]
    assert agent.networks["energy"] is energy
    assert "loss" not in agent.networks


def test_the_state_is_all_that_changes(same):
    agent, other = make_agent(), make_agent(seed=1)
    for _ in range(2):
        agent.step("a", agent.networks["a"](torch.randn(6, 4)).square().sum())
        agent.move_targets(0.5)
        torch.randn(3, generator=agent.generators["noise"])
    with torch.no_grad():
        agent.scalars["number"].fill_(7)
    state = copy.deepcopy(agent.state_dict())
    other.load_state_dict(state)
    same(other.state_dict(), state)
    assert torch.equal(other.scalars["number"], torch.tensor(7.0))
    x = torch.randn(6, 4)
    for each in (agent, other):
        each.step("a", each.networks["a"](x).square().sum())
        each.move_targets(0.5)
    same(other.state_dict(), agent.state_dict())


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_what_an_agent_does_not_use_is_a_group(name):
    assert set(getattr(AGENTS[name], "unused_groups", ())) <= {*GROUPS, *OPTIONAL_GROUPS}
