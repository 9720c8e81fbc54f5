"""The pieces that agents share, each by itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from deepcrl.core.agents.common.inputs import Parts
from deepcrl.core.agents.common.learner import Learner, constant, copied, frozen
from deepcrl.core.components import AGENTS, ENERGIES, LOSSES
from deepcrl.core.types import EnvSpec
from deepcrl.train.config import GROUPS, OPTIONAL_GROUPS


def plain(in_dim: int, out_dim: int, generator: torch.Generator) -> nn.Module:
    net = nn.Linear(in_dim, out_dim)
    for p in net.parameters():
        nn.init.uniform_(p, -0.4, 0.4, generator=generator)
    return net


def make_learner(seed: int = 0, **stability: Any) -> Learner:
    spec = EnvSpec(state_dim=5, action_dim=3, goal_indices=(0, 1))
    energy, loss = ENERGIES.build({"name": "iqe"}), LOSSES.build({"name": "infonce"})
    learner = Learner(Parts(spec, plain, plain, plain, energy, loss, torch.device("cpu"), "fp32", seed, **stability))
    for name in ("a", "b"):
        learner.add_network(name, plain, 4, 2)
        learner.add_optimizer(name, list(learner.networks[name].parameters()), 0.1)
    learner.add_target("a")
    learner.add_scalar("number", 3.0)
    learner.add_generator("noise")
    return learner


def test_a_target_starts_as_its_network_and_is_no_leaf_of_any_gradient():
    learner = make_learner()
    network, target = learner.networks["a"], learner.targets["a"]
    x = torch.randn(6, 4)
    assert torch.equal(network(x), target(x))
    (network(x) - target(x)).square().sum().add(target(x).sum()).backward()
    assert all(p.grad is None for p in target.parameters())
    assert all(p.grad is not None for p in network.parameters())


def test_targets_move_by_the_share_tau():
    learner = make_learner()
    before = [p.detach().clone() for p in learner.targets["a"].parameters()]
    with torch.no_grad():
        for p in learner.networks["a"].parameters():
            p += 1
    fast = [p.detach().clone() for p in learner.networks["a"].parameters()]
    for _ in range(2):
        learner.move_targets(0.25)
    for old, new, now in zip(before, fast, learner.targets["a"].parameters(), strict=True):
        torch.testing.assert_close(now, 0.75**2 * old + (1 - 0.75**2) * new)
    assert all(torch.equal(p, q) for p, q in zip(learner.networks["a"].parameters(), fast, strict=True))
    learner.move_targets(1.0)
    assert all(torch.equal(p, q) for p, q in zip(learner.targets["a"].parameters(), fast, strict=True))


def test_a_step_moves_its_own_parameters_by_adam_and_returns_the_gradients_norm():
    learner = make_learner()
    a, b = (learner.networks[name] for name in ("a", "b"))
    before_a, before_b = copy.deepcopy(a), copy.deepcopy(b)
    x = torch.randn(6, 4)
    loss = (a(x) * b(x)).sum()
    gradients = torch.autograd.grad(loss, list(a.parameters()), retain_graph=True)
    norm = learner.step("a", loss)
    torch.testing.assert_close(norm, torch.cat([g.flatten() for g in gradients]).norm())
    for now, old, g in zip(a.parameters(), before_a.parameters(), gradients, strict=True):
        torch.testing.assert_close(now, old - 0.1 * g / (g.abs() + 1e-8))
    assert all(torch.equal(p, q) for p, q in zip(b.parameters(), before_b.parameters(), strict=True))


def follow(learner: Learner, num_steps: int, first: int = 0) -> None:
    for i in range(first, first + num_steps):
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(i))
        learner.step("a", 100 * learner.networks["a"](x).square().sum())


@pytest.mark.parametrize("clip", [0.0, 1.0, 1e6])
def test_gradients_are_clipped_to_a_norm(clip: float):
    learner, plain_learner = make_learner(gradient_clip=clip), make_learner()
    net, plain_net = learner.networks["a"], plain_learner.networks["a"]
    x = torch.randn(6, 4)
    norm = learner.step("a", 100 * net(x).square().sum())
    plain_norm = plain_learner.step("a", 100 * plain_net(x).square().sum())
    assert norm == plain_norm > 10  # what is reported is not clipped
    factor = min(clip / float(norm), 1.0) if clip else 1.0
    for p, q in zip(net.parameters(), plain_net.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(p.grad, factor * q.grad, rtol=1e-4, atol=0)
        moment = learner.optimizers["a"].state[p]["exp_avg"]
        torch.testing.assert_close(moment, 0.1 * p.grad)


def test_the_learning_rate_warms_up_linearly():
    learner, reference = make_learner(lr_warmup_steps=4), make_learner()
    for i in range(7):
        for group in reference.optimizers["a"].param_groups:
            group["lr"] = 0.1 * min((i + 1) / 4, 1)
        for each in (learner, reference):
            follow(each, 1, first=i)
        for p, q in zip(learner.networks["a"].parameters(), reference.networks["a"].parameters(), strict=True):
            torch.testing.assert_close(p, q)


def test_a_warm_up_goes_on_after_loading():
    whole, first, second = (make_learner(lr_warmup_steps=5) for _ in range(3))
    follow(whole, 4)
    follow(first, 2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    follow(second, 2, first=2)
    assert all(
        torch.equal(p, q)
        for p, q in zip(whole.networks["a"].parameters(), second.networks["a"].parameters(), strict=True)
    )


def test_frozen_spares_parameters_but_not_inputs():
    net, x = nn.Linear(4, 2), torch.randn(3, 4, requires_grad=True)
    with frozen(net):
        y = net(x).sum()
    y.backward()
    assert x.grad is not None
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_a_copy_is_equal_and_apart():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    net(torch.randn(8, 4))
    copy_of_it = copied(net)
    mine, its = net.state_dict(), copy_of_it.state_dict()
    assert its.keys() == mine.keys() >= {"0.weight", "1.running_mean"}
    assert all(torch.equal(mine[name], its[name]) and mine[name] is not its[name] for name in mine)
    assert [p.data_ptr() for p in net.parameters()] != [p.data_ptr() for p in copy_of_it.parameters()]
    assert all(p.requires_grad for p in copy_of_it.parameters())
    norm = ENERGIES.build({"name": "norm"})
    assert copied(norm) is norm


def test_a_constant_follows_its_network_and_gives_gradients_to_inputs_only():
    linear = nn.Linear(3, 4)
    net = nn.Sequential(linear, nn.BatchNorm1d(4))
    fixed = constant(net)
    x = torch.randn(5, 3, requires_grad=True)
    with torch.no_grad():
        linear.weight.mul_(2)
        net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()})
    torch.testing.assert_close(fixed.eval()(x), net.eval()(x), rtol=0, atol=0)
    fixed(x).sum().backward()
    assert x.grad is not None
    assert x.grad.any()
    assert all(p.grad is None for module in (net, fixed) for p in module.parameters())
    assert all(p.requires_grad for p in net.parameters())
    norm = ENERGIES.build({"name": "norm"})
    assert constant(norm) is norm


def test_parts_with_parameters_are_networks():
    learner = make_learner()
    energy, loss = ENERGIES.build({"name": "iqe"}), LOSSES.build({"name": "infonce"})
    assert learner.add_parts(energy=energy, loss=loss) == [energy]
    assert learner.networks["energy"] is energy
    assert "loss" not in learner.networks


def test_the_state_is_all_that_changes(same):
    learner, other = make_learner(), make_learner(seed=1)
    for _ in range(2):
        learner.step("a", learner.networks["a"](torch.randn(6, 4)).square().sum())
        learner.move_targets(0.5)
        torch.randn(3, generator=learner.generators["noise"])
    with torch.no_grad():
        learner.scalars["number"].fill_(7)
    state = copy.deepcopy(learner.state_dict())
    other.load_state_dict(state)
    same(other.state_dict(), state)
    assert torch.equal(other.scalars["number"], torch.tensor(7.0))
    x = torch.randn(6, 4)
    for each in (learner, other):
        each.step("a", each.networks["a"](x).square().sum())
        each.move_targets(0.5)
    same(other.state_dict(), learner.state_dict())


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_what_an_agent_does_not_use_is_a_group(name):
    assert set(getattr(AGENTS[name], "unused_groups", ())) <= {*GROUPS, *OPTIONAL_GROUPS}
