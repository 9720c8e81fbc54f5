"""What a backend of the residual trunk has to provide. `eager`, `native.stack`, `native.trunk` and `triton.trunk` do.

A backend is a module with the four functions of `Backend`; `dispatch.backend` chooses one. Letters in shapes: B rows,
L layers, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Trunk:
    """Consecutive layers of a residual trunk, in whole blocks of `block_layers` layers.

    weight [L, W, W] as the backend's `prepare` returned it; bias, LayerNorm scale and shift [L, W], the last two None
    without LayerNorm.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor | None
    shift: Tensor | None
    block_layers: int
    activation: str
    dtype: torch.dtype
    """Dtype of the matmuls' inputs and outputs, and so of what is saved of them."""

    def layers(self, first: int, last: int) -> Trunk:
        """Returns the trunk of layers [first, last)."""
        cut = slice(first, last)
        scale, shift = (None, None) if self.scale is None or self.shift is None else (self.scale[cut], self.shift[cut])
        return Trunk(self.weight[cut], self.bias[cut], scale, shift, self.block_layers, self.activation, self.dtype)


@dataclass(frozen=True, slots=True)
class Saved:
    """What a forward pass of B rows through L layers keeps for the backward pass."""

    inputs: Tensor
    """[L, B, W] input of each matmul, in the matmul dtype; empty when no weight gradient is wanted."""
    dense: Tensor
    """[L, B, W] output of each matmul before the bias, in the matmul dtype."""
    stats: Tensor
    """[L, 2, B] mean and reciprocal standard deviation of each LayerNorm; empty without LayerNorm."""

    def layers(self, count: int) -> Saved:
        """Returns the buffers of the first `count` layers."""
        return Saved(self.inputs[:count], self.dense[:count], self.stats[:count])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which gradients to compute. Those that are not wanted cost nothing."""

    x: bool
    weight: bool
    vectors: bool
    """Any of bias, scale and shift, which one pass computes together."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """Where the backward pass writes the gradients of L layers; a buffer that is not wanted is empty."""

    weight: Tensor
    """[L, W, W] in the dtype of the master weights."""
    vectors: Tensor
    """[L, 3, W] of bias, scale and shift."""


class Backend(Protocol):
    """Runs the layers of a trunk forward and backward."""

    def prepare(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns the weights [L, W, W] as `Trunk.weight` holds them, for matmuls in `dtype`."""
        ...

    def forward(self, x: Tensor, trunk: Trunk, saved: Saved) -> Tensor:
        """Runs x [B, W] through `trunk`, filling the non-empty buffers of `saved`; returns a new [B, W]."""
        ...

    def backward(self, grad: Tensor, trunk: Trunk, saved: Saved, wanted: Wanted, into: Gradients) -> Tensor:
        """Takes the gradient [B, W] of the output of `trunk` to that of its input, filling `into` on the way.

        Where `wanted.x` is false the returned tensor is meaningless, since the first layer's is not computed.
        """
        ...

    def backward_scratch_bytes(self, grad: Tensor, trunk: Trunk, wanted: Wanted) -> int:
        """Returns the bytes that `backward` takes beside its arguments and its result."""
        ...
