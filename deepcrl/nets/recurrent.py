"""A weight-tied residual network: one block of parameters, applied again and again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from deepcrl.core.components import ENCODERS
from deepcrl.kernels.reference import ACTIVATIONS
from deepcrl.kernels.trunk import residual_trunk
from deepcrl.nets.residual_mlp import ResidualMLP, check_sizes


@ENCODERS.register("recurrent")
class Recurrent(ResidualMLP):
    """Maps [B, in_dim] to float32 [B, out_dim] as `residual_mlp` does, with the same parameters in every block.

    The one block of `block_layers` layers is applied depth / block_layers times, so parameters do not grow with depth.
    Raises ValueError for a shape or a name that it cannot build.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        generator: torch.Generator,
        *,
        depth: int = 16,
        width: int = 256,
        block_layers: int = 4,
        activation: str = "swish",
        norm: str = "layer_norm",
    ) -> None:
        block_layers = check_sizes(depth, width, block_layers, activation, norm)
        super().__init__(
            in_dim,
            out_dim,
            generator,
            depth=block_layers,
            width=width,
            block_layers=block_layers,
            activation=activation,
            norm=norm,
        )
        self.repeats = depth // block_layers

    def _run(self, x: Tensor, *, bf16: bool) -> Tensor:
        h = ACTIVATIONS[self.activation](self.stem_norm(self.stem(x.float())))
        block = (self.weight, self.bias, self.scale, self.shift)
        for _ in range(self.repeats):
            h = residual_trunk(h, *block, block_layers=self.block_layers, activation=self.activation, bf16=bf16)
        return self.head(h)

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor | None]]:
        for _ in range(self.repeats):
            yield from super()._blocks()
