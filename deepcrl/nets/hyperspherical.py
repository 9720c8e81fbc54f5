"""SimbaV2's network: features and weights stay on unit spheres, and blocks move features along them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepcrl.core.checks import at_least, at_most, multiple
from deepcrl.core.components import ENCODERS
from deepcrl.nets.layers import MAX_DEPTH, activation_of

EPS = 1e-8
"""Keeps the zero vector apart, in the norms and after the activation."""


@ENCODERS.register("hyperspherical")
class Hyperspherical(nn.Module):
    """Maps [B, in_dim] to float32 [B, out_dim]; between stem and head every row is a unit vector.

    With unit(x) = x / |x|: the stem is unit(s * W unit([x, input_shift])); a block maps x to
    unit(x + alpha * (y - x)), y = unit(W2 (activation(s * W1 x) + eps)), where W1 widens to `expansion` x width; the
    head is W2 (s * W1 x) + bias. No other layer has a bias. s and alpha are learned vectors, one per layer. `depth`
    counts the Dense layers of the blocks, two in each. The rows of every weight are unit vectors: they start uniform
    on the sphere, and `project_` returns them to it, to be called after every step of an optimiser.
    Source: Lee et al. 2025, "Hyperspherical Normalization for Scalable Deep Reinforcement Learning" (SimbaV2), section
    4, without its running normalisation of observations and its distributional value head; their weights start
    orthogonal. Raises ValueError for a shape or a name that it cannot build.
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
        input_shift: float = 3.0,
    ) -> None:
        """`input_shift` is appended to the input, whose length the first normalisation would otherwise lose."""
        super().__init__()
        multiple("encoder.depth", depth, 2, "2, the Dense layers of a block")
        at_most("encoder.depth", depth, MAX_DEPTH)
        at_least("encoder.width", width, 1)
        at_least("encoder.expansion", expansion, 1)
        blocks, hidden = depth // 2, expansion * width
        self._activation, self._input_shift = activation_of(activation), input_shift

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator))

        self.stem = weight(width, in_dim + 1)
        self.widen = weight(blocks, hidden, width)
        self.narrow = weight(blocks, width, hidden)
        self.head_hidden = weight(width, width)
        self.head = weight(out_dim, width)
        self.head_bias = nn.Parameter(torch.zeros(out_dim))
        # Adam moves everything by about its learning rate: what a vector starts at says how fast it changes
        self.stem_scale = nn.Parameter(torch.full((width,), (2 / width) ** 0.5))
        self.hidden_scale = nn.Parameter(torch.full((blocks, hidden), (2 / hidden) ** 0.5))
        self.alpha = nn.Parameter(torch.full((blocks, width), width**-0.5))
        self._alpha_factor = width**0.5 / (blocks + 1)
        self.head_scale = nn.Parameter(torch.ones(width))
        self.project_()

    @torch.no_grad()
    def project_(self) -> None:
        """Divides the rows of every weight by their lengths."""
        for weight in (self.stem, self.widen, self.narrow, self.head_hidden, self.head):
            weight.div_(weight.norm(dim=-1, keepdim=True).clamp_min(EPS))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the embedding [B, out_dim] of x [B, in_dim], float32."""
        x = _unit(torch.cat([x, x.new_full((len(x), 1), self._input_shift)], dim=-1))
        x = _unit(self.stem_scale * _matmul(x, self.stem))
        layers = (self.widen, self.hidden_scale, self.narrow, self._alpha_factor * self.alpha)
        for widen, scale, narrow, alpha in zip(*(parameter.unbind() for parameter in layers), strict=True):
            y = _unit(_matmul(self._activation(scale * _matmul(x, widen)) + EPS, narrow))
            x = _unit(torch.lerp(x, y, alpha.expand_as(x)))
        return _matmul(self.head_scale * _matmul(x, self.head_hidden), self.head) + self.head_bias


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1, eps=EPS)


def _matmul(x: Tensor, weight: Tensor) -> Tensor:
    """Returns weight @ x for every row of x, rounded under autocast, in the dtype of the weight."""
    return F.linear(x, weight).to(weight.dtype)
