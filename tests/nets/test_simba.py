"""SimBa's network, written out block by block."""

from __future__ import annotations

import pytest
import torch

from deepcrl.nets.simba import SimBa
from tests.nets import plain

INPUTS = torch.randn(6, 10, generator=torch.Generator().manual_seed(4))


def make(**settings: object) -> SimBa:
    settings = {"depth": 6, "width": 16, "expansion": 3} | settings
    return SimBa(10, 5, torch.Generator().manual_seed(0), **settings)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("norm", sorted(plain.NORMS))
@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
def test_adds_each_block_to_its_input(norm: str, activation: str) -> None:
    net = plain.randomised(make(norm=norm, activation=activation))
    normalise, activate = plain.NORMS[norm], plain.ACTIVATIONS[activation]

    def expected(x: torch.Tensor) -> torch.Tensor:
        x = plain.dense(x, net.stem)
        for block in range(3):
            hidden = activate(plain.dense(normalise(x, net.norms, block), net.widen, block))
            assert hidden.shape == (6, 3 * 16)
            x = x + plain.dense(hidden, net.narrow, block)
        return plain.dense(normalise(x, net.norms, 3), net.head)

    plain.assert_same_with_gradients(net, expected, INPUTS)


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
