"""The paper's network: a stem, residual blocks of [Dense -> LayerNorm -> Swish], a head; any depth, four tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from deepcrl.core.checks import at_most, multiple, one_of, suggest
from deepcrl.core.components import ENCODERS
from deepcrl.kernels import dispatch
from deepcrl.kernels.reference import ACTIVATIONS, LN_EPS
from deepcrl.kernels.trunk import residual_trunk
from deepcrl.nets.layers import MAX_DEPTH, Dense, fitting_block, uniform

NORMS = ("layer_norm", "none")
"""The norms that the trunk's kernels know."""


@ENCODERS.register("residual_mlp")
class ResidualMLP(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]; `depth` counts the Dense layers inside the residual blocks.

    Dense -> LayerNorm -> activation, then depth / block_layers blocks that add `block_layers` times the same to their
    input (post-activation residual, no final norm), then Dense. A network shallower than that is one block. Weights are
    U(+-1/sqrt(fan_in)), biases 0, as in the released code of Wang et al. 2025. All trunk layers live in four stacked
    parameters: `weight` [depth, width, width], `bias`, `scale`, `shift` [depth, width].
    Under `torch.autocast` to bfloat16 the trunk's matmuls run in bf16, the rest in float32: the stem's and the head's
    are so small that casting their operands costs more than bf16 saves.
    `checkpoint_blocks=k` saves memory: activations are kept every k blocks and recomputed between; `none` (or 0) keeps
    all, `sqrt` takes the root of the number of blocks (Chen et al. 2016).
    `zero_init_residual` starts the last LayerNorm's scale of each block at 0, so that the trunk starts as the identity
    at any depth (Goyal et al. 2017, section 5.1). Raises ValueError for a shape or a name that it cannot build.
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
        zero_init_residual: bool = False,
        checkpoint_blocks: int | str = "none",
    ) -> None:
        super().__init__()
        block_layers = check_sizes(depth, width, block_layers, activation, norm)
        dispatch.check_width(width)
        self.block_layers, self.activation = block_layers, activation
        self.checkpoint_blocks = _checkpoint_blocks(checkpoint_blocks, depth // block_layers)
        self.stem = Dense(in_dim, width, generator)
        self.stem_norm = nn.LayerNorm(width, eps=LN_EPS) if norm == "layer_norm" else nn.Identity()
        self.weight = nn.Parameter(uniform((depth, width, width), generator))
        self.bias = nn.Parameter(torch.zeros(depth, width))
        self.scale = nn.Parameter(torch.ones_like(self.bias)) if norm == "layer_norm" else None
        self.shift = nn.Parameter(torch.zeros_like(self.bias)) if norm == "layer_norm" else None
        self.head = Dense(width, out_dim, generator)
        if zero_init_residual:
            if self.scale is None or activation != "swish":
                raise ValueError(
                    "encoder.zero_init_residual needs norm=layer_norm and activation=swish: it starts a LayerNorm's "
                    "scale at 0, where relu passes no gradient"
                )
            with torch.no_grad():
                self.scale[block_layers - 1 :: block_layers] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        device = x.device.type
        if not (torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16):
            return self._run(x, bf16=False)
        with torch.autocast(device, enabled=False):
            return self._run(x, bf16=True)

    def _run(self, x: Tensor, *, bf16: bool) -> Tensor:
        h = residual_trunk(
            self._first(x),
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

    def _first(self, x: Tensor) -> Tensor:
        """Returns what enters the trunk [B, width]."""
        return ACTIVATIONS[self.activation](self.stem_norm(self.stem(x.float())))

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor | None]]:
        """Yields weight, bias, scale and shift of one block after another, in the order of the stream."""
        for first in range(0, self.weight.shape[0], self.block_layers):
            block = slice(first, first + self.block_layers)
            scale, shift = (None if p is None else p[block] for p in (self.scale, self.shift))
            yield self.weight[block], self.bias[block], scale, shift

    @torch.no_grad()
    def block_norms(self, x: Tensor) -> dict[str, Tensor]:
        """Returns the sizes of the K = depth / block_layers blocks' stream and residuals on x [B, in_dim].

        `stream_rms` [K + 1] is the root mean square of what enters the trunk and of the stream after each block,
        `residual_norm` [K] the L2 norm of what a block adds, averaged over the batch (Wang et al. 2025, figure 17).
        In float32, a block at a time: for looking, not for speed.
        """
        stream = self._first(x)
        rms, residual = [stream.square().mean().sqrt()], []
        for block in self._blocks():
            before = stream
            stream = residual_trunk(stream, *block, block_layers=self.block_layers, activation=self.activation)
            rms.append(stream.square().mean().sqrt())
            residual.append((stream - before).norm(dim=1).mean())
        return {"stream_rms": torch.stack(rms), "residual_norm": torch.stack(residual)}

    def block_gradient_norms(self) -> Tensor:
        """Returns the norm of the gradients of each block's own weights [K], as backward left them.

        Raises ValueError if there are none.
        """
        if self.weight.grad is None:
            raise ValueError("the trunk has no gradients: call backward first")
        return self.weight.grad.unflatten(0, (-1, self.block_layers)).flatten(1).norm(dim=1)


def _checkpoint_blocks(blocks: int | str, num_blocks: int) -> int:
    """Returns the blocks between checkpoints, 0 for none, from a number or its name."""
    if isinstance(blocks, str):
        named = {"none": 0, "sqrt": math.ceil(math.sqrt(num_blocks))}
        if blocks not in named:
            raise ValueError(suggest("encoder.checkpoint_blocks", blocks, (*named, "a number")))
        return named[blocks]
    if blocks < 0:
        raise ValueError(f"encoder.checkpoint_blocks is {blocks}; it must be 0 (off) or more, or none or sqrt")
    return blocks


def check_sizes(depth: int, width: int, block_layers: int, activation: str, norm: str) -> int:
    """Returns how many layers its blocks have; ValueError for a shape or a name that no residual trunk can have."""
    block_layers = fitting_block(depth, block_layers)
    multiple("encoder.depth", depth, block_layers, f"block_layers={block_layers}")
    at_most("encoder.depth", depth, MAX_DEPTH)
    multiple("encoder.width", width, 16, "16")
    one_of("activation of a residual trunk", activation, ACTIVATIONS)
    one_of("norm of a residual trunk", norm, NORMS)
    return block_layers
