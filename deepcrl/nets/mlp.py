"""A plain multilayer perceptron: the baseline without residual connections."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from deepcrl.core.components import ENCODERS
from deepcrl.core.registry import suggest
from deepcrl.kernels.reference import ACTIVATIONS, LN_EPS
from deepcrl.nets.residual_mlp import dense


@ENCODERS.register("mlp")
class MLP(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]: `depth` times [Dense -> LayerNorm -> activation], then Dense.

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
        layer_norm: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (("depth", depth), ("width", width)):
            if value < 1:
                raise ValueError(f"encoder.{name} is {value}; it must be at least 1")
        if activation not in ACTIVATIONS:
            raise ValueError(suggest("activation", activation, ACTIVATIONS))
        self._activation = ACTIVATIONS[activation]
        sizes = [in_dim, *depth * [width]]
        self.layers = nn.ModuleList(dense(a, b, generator) for a, b in pairwise(sizes))
        norms = (nn.LayerNorm(width, eps=LN_EPS) if layer_norm else nn.Identity() for _ in range(depth))
        self.norms = nn.ModuleList(norms)
        self.head = dense(width, out_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self._activation(norm(layer(x)))
        return self.head(x).float()
