"""A plain multilayer perceptron: the baseline without residual connections."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from deepcrl.core.checks import at_least, at_most
from deepcrl.core.components import ENCODERS
from deepcrl.nets.layers import MAX_DEPTH, Dense, activation_of, norms_of


@ENCODERS.register("mlp")
class MLP(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]: `depth` times [Dense -> norm -> activation], then Dense.

    Weights are U(+-1/sqrt(fan_in)), biases 0, as in `residual_mlp`. Raises ValueError for a shape or a name that it
    cannot build.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        generator: torch.Generator,
        *,
        depth: int = 2,
        width: int = 256,
        activation: str = "swish",
        norm: str = "layer_norm",
    ) -> None:
        super().__init__()
        at_least("encoder.depth", depth, 1)
        at_most("encoder.depth", depth, MAX_DEPTH)
        at_least("encoder.width", width, 1)
        self._activation = activation_of(activation)
        sizes = [in_dim, *depth * [width]]
        self.dense = nn.ModuleList(Dense(a, b, generator) for a, b in pairwise(sizes))
        self.norms = norms_of(norm, depth, width)
        self.head = Dense(width, out_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        for dense, norm in zip(self.dense, self.norms.layers(), strict=True):
            x = self._activation(norm(dense(x)))
        return self.head(x)
