"""SimBa's network: pre-norm residual blocks that leave the sum untouched from stem to head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepcrl.core.components import ENCODERS
from deepcrl.core.registry import suggest
from deepcrl.kernels.reference import ACTIVATIONS, LN_EPS
from deepcrl.nets.residual_mlp import dense


@ENCODERS.register("simba")
class SimBa(nn.Module):
    """Maps [B, in_dim] to [B, out_dim], float32: stem, x + Dense(activation(Dense(LayerNorm(x)))), LayerNorm, head.

    A block widens to `expansion` x width between its two Dense layers; `depth` counts those, two per block. Source:
    Lee et al. 2024 (SimBa), whose running normalisation of observations is not part of the network here; weights are
    U(+-1/sqrt(fan_in)) as in `residual_mlp`. Raises ValueError for a shape or a name that it cannot build.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        generator: torch.Generator,
        *,
        depth: int = 4,
        width: int = 256,
        expansion: int = 4,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        for name, value in (("depth", depth), ("width", width), ("expansion", expansion)):
            if value < 1:
                raise ValueError(f"encoder.{name} is {value}; it must be at least 1")
        if depth % 2:
            raise ValueError(f"encoder.depth is {depth}; it must be even, two Dense layers per block")
        if activation not in ACTIVATIONS:
            raise ValueError(suggest("activation", activation, ACTIVATIONS))
        self._activation = ACTIVATIONS[activation]
        blocks, hidden = range(depth // 2), expansion * width
        self.stem = dense(in_dim, width, generator)
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=LN_EPS) for _ in blocks)
        self.widen = nn.ModuleList(dense(width, hidden, generator) for _ in blocks)
        self.narrow = nn.ModuleList(dense(hidden, width, generator) for _ in blocks)
        self.norm = nn.LayerNorm(width, eps=LN_EPS)
        self.head = dense(width, out_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        x = self.stem(x).float()  # also under autocast: the residual sum keeps its digits
        for norm, widen, narrow in zip(self.norms, self.widen, self.narrow, strict=True):
            x = x + narrow(self._activation(widen(norm(x))))
        return self.head(self.norm(x)).float()
