"""BroNet, written out block by block."""

from __future__ import annotations

import pytest
import torch

from deepcrl.nets.bro import BroNet
from tests.nets import plain

INPUTS = torch.randn(6, 10, generator=torch.Generator().manual_seed(4))


def make(**settings: object) -> BroNet:
    return BroNet(10, 5, torch.Generator().manual_seed(0), **({"depth": 6, "width": 16} | settings))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("norm", sorted(plain.NORMS))
@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
def test_adds_normalised_blocks_to_its_input(norm: str, activation: str) -> None:
    net = plain.randomised(make(norm=norm, activation=activation))
    normalise, activate = plain.NORMS[norm], plain.ACTIVATIONS[activation]

    def expected(x: torch.Tensor) -> torch.Tensor:
        x = activate(normalise(plain.dense(x, net.stem), net.norms, 0))
        for block in range(3):
            h = activate(normalise(plain.dense(x, net.dense, 2 * block), net.norms, 1 + 2 * block))
            x = x + normalise(plain.dense(h, net.dense, 2 * block + 1), net.norms, 2 + 2 * block)
        return plain.dense(x, net.head)

    plain.assert_same_with_gradients(net, expected, INPUTS)


def test_refuses_half_a_block() -> None:
    message = "^encoder.depth is 5; it must be a positive multiple of 2, the Dense layers of a block, such as 4 or 6$"
    with pytest.raises(ValueError, match=message):
        make(depth=5)
