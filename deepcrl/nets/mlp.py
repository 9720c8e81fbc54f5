"""A plain multilayer perceptron: the baseline without residual connections."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from deepcrl.core.checks import at_least, at_most, one_of
from deepcrl.core.components import ENCODERS
from deepcrl.nets.layers import MAX_DEPTH, Dense, activation_of, init_of, norms_of

NORM_POSITIONS = ("before", "after")
"""The activation: what `encoder.norm_position` may be."""


@ENCODERS.register("mlp")
class MLP(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]: `depth` times [Dense -> norm -> activation], then Dense, the head.

    The norm is before the activation, or with `norm_position=after` behind it. Weights are U(+-1/sqrt(fan_in)), as in
    `residual_mlp`, or with `init=glorot` U(+-sqrt(6 / (fan_in + fan_out))); those of the head are `head_scale` times as
    large. Biases are 0. Raises ValueError for a shape or a name that it cannot build.
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
        norm_position: str = "before",
        init: str = "paper",
        head_scale: float = 1.0,
    ) -> None:
        super().__init__()
        at_least("encoder.depth", depth, 1)
        at_most("encoder.depth", depth, MAX_DEPTH)
        at_least("encoder.width", width, 1)
        at_least("encoder.head_scale", head_scale, 0)
        one_of("encoder.norm_position", norm_position, NORM_POSITIONS)
        self._activation, self._norm_after, draw = activation_of(activation), norm_position == "after", init_of(init)
        sizes = [in_dim, *depth * [width]]
        self.dense = nn.ModuleList(Dense(a, b, generator, draw) for a, b in pairwise(sizes))
        self.norms = norms_of(norm, depth, width)
        self.head = Dense(width, out_dim, generator, draw, head_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        for dense, norm in zip(self.dense, self.norms.layers(), strict=True):
            x = norm(self._activation(dense(x))) if self._norm_after else self._activation(norm(dense(x)))
        return self.head(x)
