"""The paper's network: a stem, residual blocks of [Dense -> LayerNorm -> Swish], a head; any depth, four tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepcrl.core.components import ENCODERS
from deepcrl.kernels import dispatch
from deepcrl.kernels.reference import ACTIVATIONS, LN_EPS
from deepcrl.kernels.trunk import residual_trunk
from deepcrl.nets.layers import Dense, check_multiple, check_name, check_positive, uniform

NORMS = ("layer_norm", "none")
"""The norms that the trunk's kernels know."""


@ENCODERS.register("residual_mlp")
class ResidualMLP(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]; `depth` counts the Dense layers inside the residual blocks.

    Dense -> LayerNorm -> activation, then depth / block_layers blocks that add `block_layers` times the same to
    their input (post-activation residual, no final norm), then Dense. Weights are U(+-1/sqrt(fan_in)), biases 0,
    as in the released code of Wang et al. 2025. All trunk layers live in four stacked parameters: `weight`
    [depth, width, width], `bias`, `scale`, `shift` [depth, width].
    Under `torch.autocast` to bfloat16 the trunk's matmuls run in bf16, the rest in float32: the stem's and the head's
    are so small that casting their operands costs more than bf16 saves.
    `checkpoint_blocks=k` saves memory: activations are kept every k blocks and recomputed between; 0 keeps all.
    Raises ValueError for a shape or a name that it cannot build.
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
        activation: str = "swish",
        norm: str = "layer_norm",
        checkpoint_blocks: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(depth, width, block_layers, activation, norm, checkpoint_blocks)
        dispatch.check_width(width)
        self.block_layers, self.activation, self.checkpoint_blocks = block_layers, activation, checkpoint_blocks
        self.stem = Dense(in_dim, width, generator)
        self.stem_norm = nn.LayerNorm(width, eps=LN_EPS) if norm == "layer_norm" else nn.Identity()
        self.weight = nn.Parameter(uniform((depth, width, width), generator))
        self.bias = nn.Parameter(torch.zeros(depth, width))
        self.scale = nn.Parameter(torch.ones_like(self.bias)) if norm == "layer_norm" else None
        self.shift = nn.Parameter(torch.zeros_like(self.bias)) if norm == "layer_norm" else None
        self.head = Dense(width, out_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        device = x.device.type
        if not (torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16):
            return self._run(x, bf16=False)
        with torch.autocast(device, enabled=False):
            return self._run(x, bf16=True)

    def _run(self, x: Tensor, *, bf16: bool) -> Tensor:
        h = residual_trunk(
            ACTIVATIONS[self.activation](self.stem_norm(self.stem(x.float()))),
            self.weight,
            self.bias,
            self.scale,
            self.shift,
            block_layers=self.block_layers,
            activation=self.activation,
            bf16=bf16,
            checkpoint_blocks=self.checkpoint_blocks,
        )
        return self.head(h)


def check_sizes(depth: int, width: int, block_layers: int, activation: str, norm: str, checkpoint_blocks: int) -> None:
    """Raises ValueError for a shape or a name that no residual trunk can have."""
    check_positive(block_layers=block_layers)
    check_multiple("depth", depth, block_layers, f"block_layers={block_layers}")
    check_multiple("width", width, 16, "16")
    check_name("activation of a residual trunk", activation, ACTIVATIONS)
    check_name("norm of a residual trunk", norm, NORMS)
    if checkpoint_blocks < 0:
        raise ValueError(f"encoder.checkpoint_blocks is {checkpoint_blocks}; it must be 0 (off) or more")
