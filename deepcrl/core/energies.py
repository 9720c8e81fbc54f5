"""Energies: how well a state-action embedding and a goal embedding fit, higher is closer.

Each energy has two views of one formula: `paired` [B, D], [B, D] -> [B] for the actor, and `pairwise`
[B, D], [C, D] -> [B, C] for the contrastive loss. The critic is *minus* a distance (the paper's text drops the sign).
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from deepcrl.core.components import ENERGIES


class Energy(Protocol):
    """A similarity of embeddings."""

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        """Energies [B] of the rows of sa [B, D] with the same rows of g [B, D]."""
        ...

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        """Energies [B, C] of every row of sa [B, D] with every row of g [C, D]."""
        ...


def pairwise_squared_distance(sa: Tensor, g: Tensor) -> Tensor:
    """Squared L2 distances [B, C] of sa [B, D] and g [C, D], by one matrix product.

    Expanding the square cancels digits when embeddings lie far from the origin, so both are centred first; distances
    and gradients do not change with the centre, which is therefore a constant to autograd.
    """
    centre = g.detach().mean(dim=0)
    sa, g = sa - centre, g - centre
    norms = sa.square().sum(dim=1, keepdim=True) + g.square().sum(dim=1)
    return norms.addmm(sa, g.T, alpha=-2).clamp_min(0)


@ENERGIES.register("norm")
class Norm:
    """Minus the L2 distance, -sqrt(|x - y|^2 + eps): the paper's critic."""

    def __init__(self, *, eps: float = 1e-6) -> None:
        """`eps` keeps the gradient finite where embeddings coincide (JaxGCRL's value; the paper's code has none)."""
        if eps <= 0:
            raise ValueError(f"energy.eps must be positive, got {eps}: at distance 0 the gradient would be infinite")
        self.eps = eps

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        return -(sa - g).square().sum(dim=-1).add(self.eps).sqrt()

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return -pairwise_squared_distance(sa, g).add(self.eps).sqrt()


@ENERGIES.register("l2")
class SquaredL2:
    """Minus the squared L2 distance, -|x - y|^2."""

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        return -(sa - g).square().sum(dim=-1)

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return -pairwise_squared_distance(sa, g)


@ENERGIES.register("dot")
class Dot:
    """Inner product, x . y."""

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        return (sa * g).sum(dim=-1)

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return sa @ g.T


@ENERGIES.register("cosine")
class Cosine:
    """Cosine of the angle between embeddings, x . y / (|x| |y| + eps), each row with its own norm."""

    def __init__(self, *, eps: float = 1e-6) -> None:
        self.eps = eps

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        return (sa * g).sum(dim=-1) / (sa.norm(dim=-1) * g.norm(dim=-1) + self.eps)

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return sa @ g.T / (sa.norm(dim=-1, keepdim=True) * g.norm(dim=-1) + self.eps)
