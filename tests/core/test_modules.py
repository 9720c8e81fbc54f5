"""Modules that are copied, detached or frozen: what they share, and whose gradients are computed."""

from __future__ import annotations

import torch
from torch import nn

from deepcrl.core.components import ENERGIES
from deepcrl.core.modules import copied, detached, frozen


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


def test_a_detached_module_follows_its_network_and_gives_gradients_to_inputs_only():
    linear = nn.Linear(3, 4)
    net = nn.Sequential(linear, nn.BatchNorm1d(4))
    fixed = detached(net)
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
    assert detached(norm) is norm
