"""A highway network: a gate decides, unit by unit, how much of each layer replaces what came before it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from deepcrl.core.checks import at_least, at_most
from deepcrl.core.components import ENCODERS
from deepcrl.nets.layers import MAX_DEPTH, Dense, DenseStack, activation_of, norms_of


@ENCODERS.register("gated")
class Highway(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]: Dense -> norm -> activation, `depth` gated layers, Dense.

    A layer maps x to (1 - t) x + t h, with h = activation(norm(Dense(x))) and the gate t = sigmoid(Dense(x)), whose
    bias starts at `gate_bias` - log(depth). Both Dense layers are one matmul, the rows of h before those of t.
    Source: Srivastava et al. 2015, "Training Very Deep Networks", equation 3, which has no norm: `norm=none` is theirs.
    They too start the bias negative, more so the deeper; the logarithm keeps the stem's share in the head's input about
    the same at any depth. Weights are U(+-1/sqrt(fan_in)) as in `residual_mlp`. Raises ValueError for a shape or a name
    that it cannot build.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        generator: torch.Generator,
        *,
        depth: int = 4,
        width: int = 256,
        activation: str = "swish",
        norm: str = "layer_norm",
        gate_bias: float = -1.0,
    ) -> None:
        """The more negative `gate_bias`, the more of the stem's output reaches the head at first."""
        super().__init__()
        at_least("encoder.depth", depth, 1)
        at_most("encoder.depth", depth, MAX_DEPTH)
        at_least("encoder.width", width, 1)
        self._activation = activation_of(activation)
        self.stem = Dense(in_dim, width, generator)
        self.dense = DenseStack(depth, width, 2 * width, generator)
        with torch.no_grad():
            self.dense.bias[:, width:] = gate_bias - math.log(depth)
        self.norms = norms_of(norm, 1 + depth, width)
        self.head = Dense(width, out_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        stem_norm, *norms = self.norms.layers()
        x = self._activation(stem_norm(self.stem(x)))
        for dense, norm in zip(self.dense.layers(), norms, strict=True):
            h, gate = dense(x).chunk(2, dim=-1)
            x = torch.lerp(x, self._activation(norm(h)), gate.sigmoid())
        return self.head(x)
