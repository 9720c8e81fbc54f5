"""What encoders are built of: activations and norms by name, and stacks of equal layers that are one parameter each.

A stack is run through its `layers()`, functions of [B, in] in the order of the layers. They come from one `unbind`,
whose backward writes all gradients at once: indexing the parameter would add up L gradients of its whole size. Results
have the dtype of the parameters, also under autocast, which therefore rounds the matmuls and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepcrl.core.checks import at_least, one_of
from deepcrl.kernels import reference
from deepcrl.kernels.reference import LN_EPS

Layer = Callable[[Tensor], Tensor]
"""[B, in] -> [B, out]."""

MAX_DEPTH = 10_000
"""Layers, of which nobody has trained as many: that is known before the first of them is built."""
ACTIVATIONS: dict[str, Layer] = {**reference.ACTIVATIONS, "gelu": F.gelu, "tanh": torch.tanh}


def uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draws U(+-1/sqrt(fan_in)) weights, fan_in last: Flax's variance_scaling(1/3, fan_in, uniform)."""
    return _uniform_within(1 / math.sqrt(shape[-1]), shape, generator)


def glorot(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draws U(+-sqrt(6 / (fan_in + fan_out))) weights [..., fan_out, fan_in] (Glorot and Bengio 2010).

    This is Flax's variance_scaling(1, fan_avg, uniform), OGBench's.
    """
    return _uniform_within(math.sqrt(6 / (shape[-1] + shape[-2])), shape, generator)


def _uniform_within(bound: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]
"""(shape [..., fan_out, fan_in], generator) -> initial weights."""
INITS: dict[str, Draw] = {"paper": uniform, "glorot": glorot}


class Dense(nn.Linear):
    """A Dense layer [B, fan_in] -> [B, fan_out] with `scale` times the weights that `draw` draws, and biases 0."""

    def __init__(
        self, fan_in: int, fan_out: int, generator: torch.Generator, draw: Draw = uniform, scale: float = 1.0
    ) -> None:
        super().__init__(fan_in, fan_out, device="meta")  # both tensors are replaced
        self.weight = nn.Parameter(scale * draw((fan_out, fan_in), generator))
        self.bias = nn.Parameter(torch.zeros(fan_out))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).to(self.weight.dtype)


class DenseStack(nn.Module):
    """`count` Dense layers of one shape: weight [count, fan_out, fan_in], as in `Dense`, and bias [count, fan_out]."""

    def __init__(self, count: int, fan_in: int, fan_out: int, generator: torch.Generator, draw: Draw = uniform) -> None:
        super().__init__()
        self.weight = nn.Parameter(draw((count, fan_out, fan_in), generator))
        self.bias = nn.Parameter(torch.zeros(count, fan_out))

    def layers(self) -> list[Layer]:
        return [
            partial(_dense, weight=weight, bias=bias)
            for weight, bias in zip(self.weight.unbind(), self.bias.unbind(), strict=True)
        ]


def _dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(x, weight, bias).to(weight.dtype)


class LayerNorms(nn.Module):
    """`count` LayerNorms (Ba et al. 2016): scale and shift [count, width]."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(count, width))
        self.shift = nn.Parameter(torch.zeros(count, width))

    def layers(self) -> list[Layer]:
        return [
            partial(F.layer_norm, normalized_shape=scale.shape, weight=scale, bias=shift, eps=LN_EPS)
            for scale, shift in zip(self.scale.unbind(), self.shift.unbind(), strict=True)
        ]


class RMSNorms(nn.Module):
    """`count` RMSNorms, x / sqrt(mean(x^2) + eps) times a scale [count, width] (Zhang and Sennrich 2019)."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(count, width))

    def layers(self) -> list[Layer]:
        return [
            partial(F.rms_norm, normalized_shape=scale.shape, weight=scale, eps=LN_EPS) for scale in self.scale.unbind()
        ]


class NoNorms(nn.Module):
    """`count` times nothing: the ablation."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self._count = count

    def layers(self) -> list[Layer]:
        return self._count * [_identity]


def _identity(x: Tensor) -> Tensor:
    return x


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Returns a @ b in the dtype of both, also under autocast: a sum over blocks would lose digits in bfloat16."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b


NormStack = LayerNorms | RMSNorms | NoNorms
NORMS: dict[str, type[NormStack]] = {"layer_norm": LayerNorms, "rms_norm": RMSNorms, "none": NoNorms}


def activation_of(name: str) -> Layer:
    """Returns the activation of that name; ValueError with a suggestion otherwise."""
    one_of("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def init_of(name: str) -> Draw:
    """Returns what draws initial weights, by its name; ValueError with a suggestion otherwise."""
    one_of("encoder.init", name, INITS)
    return INITS[name]


def norms_of(name: str, count: int, width: int) -> NormStack:
    """Returns `count` norms of that name; ValueError with a suggestion if there is none."""
    one_of("norm", name, NORMS)
    return NORMS[name](count, width)


def fitting_block(depth: int, block_layers: int) -> int:
    """Returns how many layers a block has: `depth` where that is less, so that a shallower network is one block."""
    at_least("encoder.block_layers", block_layers, 1)
    return min(block_layers, depth) if depth > 0 else block_layers
