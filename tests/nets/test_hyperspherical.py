"""SimbaV2's network, written out block by block, its spheres, and their projection."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from deepcrl.nets.hyperspherical import Hyperspherical
from tests.nets import plain

INPUTS = torch.randn(6, 10, generator=torch.Generator().manual_seed(4))
WEIGHTS = ("stem", "widen", "narrow", "head_hidden", "head")


def make(**settings: object) -> Hyperspherical:
    settings = {"depth": 6, "width": 16, "expansion": 2} | settings
    return Hyperspherical(10, 5, torch.Generator().manual_seed(0), **settings)  # pyright: ignore[reportArgumentType]


def unit(x: Tensor) -> Tensor:
    return x / (x**2).sum(dim=-1, keepdim=True).sqrt()


@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
@pytest.mark.parametrize("input_shift", [3.0, 0.5])
def test_moves_features_along_the_sphere(activation: str, input_shift: float) -> None:
    net, activate = (
        plain.randomised(make(activation=activation, input_shift=input_shift)),
        plain.ACTIVATIONS[activation],
    )

    def expected(x: Tensor) -> Tensor:
        x = unit(torch.cat([x, torch.full((6, 1), input_shift, dtype=x.dtype)], dim=1))
        x = unit(net.stem_scale * (x @ net.stem.T))
        for block in range(3):
            y = unit((activate(net.hidden_scale[block] * (x @ net.widen[block].T)) + 1e-8) @ net.narrow[block].T)
            alpha = net.alpha[block] * 16**0.5 / (3 + 1)
            x = unit((1 - alpha) * x + alpha * y)
        return (net.head_scale * (x @ net.head_hidden.T)) @ net.head.T + net.head_bias

    plain.assert_same_with_gradients(net, expected, INPUTS)


def test_initial_values_are_the_papers() -> None:
    net = make(depth=8, width=16, expansion=4)
    assert torch.allclose(net.stem_scale, torch.tensor((2 / 16) ** 0.5))
    assert torch.allclose(net.hidden_scale, torch.tensor((2 / 16) ** 0.5 / 4**0.5))
    assert torch.allclose(net.alpha, torch.tensor(1 / 16**0.5))
    assert (net.head_scale == 1).all()
    assert not net.head_bias.any()
    # the first step towards a block's output has the length alpha = 1 / (blocks + 1)
    assert net.alpha[0, 0].item() * net._alpha_factor == pytest.approx(1 / (4 + 1))


def test_rows_start_uniform_on_the_sphere() -> None:
    weight = make(width=256, expansion=4).widen.detach()
    torch.testing.assert_close(weight.norm(dim=-1), torch.ones(3, 1024))
    assert weight.mean().abs() < 1e-3
    # a coordinate's fourth moment on the unit sphere in n dimensions is 3 / (n (n + 2))
    torch.testing.assert_close((weight**4).mean(), torch.tensor(3 / (256 * 258)), rtol=0.02, atol=0)


def test_projection_keeps_directions_and_restores_lengths() -> None:
    net = plain.randomised(make())
    before = copy.deepcopy(net)
    net.project_()
    for name, parameter in net.named_parameters():
        old = before.get_parameter(name)
        torch.testing.assert_close(parameter, unit(old) if name in WEIGHTS else old)
        assert parameter.requires_grad


def test_the_length_of_the_input_is_not_lost() -> None:
    net = make()
    assert not torch.allclose(net(INPUTS), net(2 * INPUTS), atol=1e-3)
    blind = make(input_shift=0.0)
    torch.testing.assert_close(blind(INPUTS), blind(2 * INPUTS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"depth": 5},
            "^encoder.depth is 5; it must be a positive multiple of 2, the Dense layers of a block, such as",
        ),
        ({"expansion": 0}, "^encoder.expansion must be at least 1, got 0$"),
    ],
)
def test_refuses(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)
