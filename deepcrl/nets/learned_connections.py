"""Hyper-connections: blocks read from, write to and mix several residual streams, by learned coefficients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepcrl.core.checks import at_least, at_most, multiple
from deepcrl.core.components import ENCODERS
from deepcrl.nets.layers import MAX_DEPTH, Dense, DenseStack, activation_of, fitting_block, matmul, norms_of


@ENCODERS.register("learned_connections")
class HyperConnections(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim], by blocks as in `residual_mlp` whose residual connections are learned.

    `num_streams` copies of the stem's output [B, width] run beside the blocks. Block k reads the sum of the streams
    weighted by `read[k]`, mixes the streams by the matrix `mix[k]`, and adds its output to each, weighted by
    `write[k]`; the head reads the streams' mean. At the start `read[k]` picks stream k mod num_streams, `mix[k]` is the
    identity and `write[k]` is 1: the network is then exactly a residual one, `residual_mlp` with these weights.
    Source: Zhu et al. 2025, "Hyper-Connections", static ones, equation 2 and its initial values. Their cost grows
    with the depth, where that of connections between all pairs of blocks grows with its square. The head reads the
    mean where the paper takes the sum, which a norm follows there. Raises ValueError for a shape or a name that it
    cannot build.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        generator: torch.Generator,
        *,
        depth: int = 4,
        width: int = 256,
        block_layers: int = 4,
        num_streams: int = 4,
        activation: str = "swish",
        norm: str = "layer_norm",
    ) -> None:
        super().__init__()
        at_least("encoder.width", width, 1)
        block_layers = fitting_block(depth, block_layers)
        at_least("encoder.num_streams", num_streams, 1)
        multiple("encoder.depth", depth, block_layers, f"block_layers={block_layers}")
        at_most("encoder.depth", depth, MAX_DEPTH)
        blocks = depth // block_layers
        self._activation, self._block_layers = activation_of(activation), block_layers
        self.stem = Dense(in_dim, width, generator)
        self.dense = DenseStack(depth, width, width, generator)
        self.norms = norms_of(norm, 1 + depth, width)
        identity = torch.eye(num_streams)
        self.read = nn.Parameter(identity[torch.arange(blocks) % num_streams])
        self.mix = nn.Parameter(identity.repeat(blocks, 1, 1))
        self.write = nn.Parameter(torch.ones(blocks, num_streams))
        self.head = Dense(width, out_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        stem_norm, *norms = self.norms.layers()
        layers = list(zip(self.dense.layers(), norms, strict=True))
        streams = self._activation(stem_norm(self.stem(x))).expand(self.mix.shape[1], -1, -1)
        for block, (read, mix, write) in enumerate(
            zip(self.read.unbind(), self.mix.unbind(), self.write.unbind(), strict=True)
        ):
            # one product for both: the first row is the block's input, the others are the streams to come
            h, *_ = mixed = matmul(torch.cat([read[None], mix]), streams.flatten(1)).unflatten(1, streams.shape[1:])
            for dense, norm in layers[block * self._block_layers : (block + 1) * self._block_layers]:
                h = self._activation(norm(dense(h)))
            streams = mixed[1:] + write[:, None, None] * h
        return self.head(streams.mean(dim=0))
