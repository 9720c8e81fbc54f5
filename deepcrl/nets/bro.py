"""BRO's network: residual blocks that end with a norm, so that each adds as much as any other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepcrl.core.checks import at_least, at_most, multiple
from deepcrl.core.components import ENCODERS
from deepcrl.nets.layers import MAX_DEPTH, Dense, DenseStack, activation_of, norms_of


@ENCODERS.register("bro")
class BroNet(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]: Dense -> norm -> activation, the blocks, Dense.

    A block maps x to x + norm(Dense(activation(norm(Dense(x))))); `depth` counts the Dense layers of the blocks, two
    in each. Source: Nauman et al. 2024, "Bigger, Regularized, Optimistic" (BroNet); weights are U(+-1/sqrt(fan_in)) as
    in `residual_mlp`, where theirs are orthogonal. Raises ValueError for a shape or a name that it cannot build.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        generator: torch.Generator,
        *,
        depth: int = 4,
        width: int = 256,
        activation: str = "relu",
        norm: str = "layer_norm",
    ) -> None:
        super().__init__()
        multiple("encoder.depth", depth, 2, "2, the Dense layers of a block")
        at_most("encoder.depth", depth, MAX_DEPTH)
        at_least("encoder.width", width, 1)
        self._activation = activation_of(activation)
        self.stem = Dense(in_dim, width, generator)
        self.dense = DenseStack(depth, width, width, generator)
        self.norms = norms_of(norm, 1 + depth, width)
        self.head = Dense(width, out_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        dense, (stem_norm, *norms) = self.dense.layers(), self.norms.layers()
        x = self._activation(stem_norm(self.stem(x)))
        for first in range(0, len(dense), 2):
            h = self._activation(norms[first](dense[first](x)))
            x = x + norms[first + 1](dense[first + 1](h))
        return self.head(x)
