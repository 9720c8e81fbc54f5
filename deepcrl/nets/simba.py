"""SimBa's network: pre-norm residual blocks that leave the sum untouched from stem to head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepcrl.core.checks import at_least, at_most, multiple
from deepcrl.core.components import ENCODERS
from deepcrl.nets.layers import MAX_DEPTH, Dense, DenseStack, activation_of, init_of, norms_of


@ENCODERS.register("simba")
class SimBa(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]: stem, x + Dense(activation(Dense(norm(x)))), norm, head.

    A block widens to `expansion` x width between its two Dense layers; `depth` counts those, two per block. Source:
    Lee et al. 2024 (SimBa), whose running normalisation of observations is not part of the network here; `init` and
    `head_scale` are as in `mlp`. Raises ValueError for a shape or a name that it cannot build.
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
        norm: str = "layer_norm",
        init: str = "paper",
        head_scale: float = 1.0,
    ) -> None:
        super().__init__()
        multiple("encoder.depth", depth, 2, "2, the Dense layers of a block")
        at_most("encoder.depth", depth, MAX_DEPTH)
        at_least("encoder.width", width, 1)
        at_least("encoder.expansion", expansion, 1)
        at_least("encoder.head_scale", head_scale, 0)
        blocks, hidden = depth // 2, expansion * width
        self._activation, draw = activation_of(activation), init_of(init)
        self.stem = Dense(in_dim, width, generator, draw)
        self.widen = DenseStack(blocks, width, hidden, generator, draw)
        self.narrow = DenseStack(blocks, hidden, width, generator, draw)
        self.norms = norms_of(norm, blocks + 1, width)
        self.head = Dense(width, out_dim, generator, draw, head_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        x = self.stem(x)
        *norms, last = self.norms.layers()
        for norm, widen, narrow in zip(norms, self.widen.layers(), self.narrow.layers(), strict=True):
            x = x + narrow(self._activation(widen(norm(x))))
        return self.head(last(x))
