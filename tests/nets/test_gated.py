"""The highway network, written out layer by layer, and how its gates start."""

from __future__ import annotations

import math

import pytest
import torch

from deepcrl.nets.gated import Highway
from tests.nets import plain

INPUTS = torch.randn(6, 10, generator=torch.Generator().manual_seed(4))


def make(**settings: object) -> Highway:
    return Highway(10, 5, torch.Generator().manual_seed(0), **({"depth": 3, "width": 16} | settings))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("norm", sorted(plain.NORMS))
@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
def test_each_layer_replaces_what_its_gate_lets_go(norm: str, activation: str) -> None:
    net = plain.randomised(make(norm=norm, activation=activation))
    normalise, activate = plain.NORMS[norm], plain.ACTIVATIONS[activation]

    def expected(x: torch.Tensor) -> torch.Tensor:
        x = activate(normalise(plain.dense(x, net.stem), net.norms, 0))
        for layer in range(3):
            both = plain.dense(x, net.dense, layer)
            gate = 1 / (1 + torch.exp(-both[:, 16:]))
            x = (1 - gate) * x + gate * activate(normalise(both[:, :16], net.norms, 1 + layer))
        return plain.dense(x, net.head)

    plain.assert_same_with_gradients(net, expected, INPUTS)


@pytest.mark.parametrize("depth", [4, 64])
def test_the_stem_has_the_same_share_at_any_depth(depth: int) -> None:
    net = make(depth=depth, gate_bias=0.5)
    with torch.no_grad():
        net.dense.weight.zero_()  # gates are then their biases, and every layer's output is 0
    stem_norm, *_ = net.norms.layers()
    with_gates = (1 - 1 / (1 + depth * math.exp(-0.5))) ** depth * torch.nn.functional.silu(stem_norm(net.stem(INPUTS)))
    torch.testing.assert_close(net(INPUTS), net.head(with_gates))
    assert not net.dense.bias[:, :16].any()


def test_a_closed_gate_shows_the_stem_and_an_open_one_does_not() -> None:
    stem, closed, opened = (make(gate_bias=bias) for bias in (0.0, -30.0, 30.0))
    stem_norm, *_ = stem.norms.layers()
    alone = stem.head(torch.nn.functional.silu(stem_norm(stem.stem(INPUTS))))
    torch.testing.assert_close(closed(INPUTS), alone)
    assert not torch.allclose(opened(INPUTS), alone, atol=0.05)
