"""The plain MLP, written out layer by layer."""

from __future__ import annotations

import pytest
import torch

from deepcrl.nets.mlp import MLP
from tests.nets import plain

INPUTS = torch.randn(6, 10, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("norm", sorted(plain.NORMS))
@pytest.mark.parametrize("activation", sorted(plain.ACTIVATIONS))
def test_is_layer_after_layer(norm: str, activation: str, depth: int) -> None:
    net = MLP(10, 5, torch.Generator().manual_seed(0), depth=depth, width=16, norm=norm, activation=activation)
    plain.randomised(net)

    def expected(x: torch.Tensor) -> torch.Tensor:
        for index in range(depth):
            x = plain.dense(x, net.dense[index])
            x = plain.ACTIVATIONS[activation](plain.NORMS[norm](x, net.norms, index))
        return plain.dense(x, net.head)

    plain.assert_same_with_gradients(net, expected, INPUTS)
