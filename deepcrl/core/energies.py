"""Energies: how well a state-action embedding and a goal embedding fit, higher is closer.

Each energy has two views of one formula: `paired` [B, D], [B, D] -> [B] for the actor, and `pairwise`
[B, D], [C, D] -> [B, C] for the contrastive loss. The critic is *minus* a distance (the paper's text drops the sign).
Leading dimensions of `paired` broadcast. An energy that owns parameters is an `nn.Module`: the agent optimises them
with the critic and saves them with its networks.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from deepcrl.core.components import ENERGIES


class Energy(Protocol):
    """A similarity of embeddings. One that is minus a quasimetric says so: `quasimetric = True`.

    One that cannot take embeddings of every dimension has a `check_dim(embedding_dim)`, which raises ValueError.
    """

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        """Energies [B] of the rows of sa [B, D] with the same rows of g [B, D]."""
        ...

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        """Energies [B, C] of every row of sa [B, D] with every row of g [C, D]."""
        ...


def check_dim(energy: Energy, embedding_dim: int) -> None:
    """Raises ValueError if the energy cannot take embeddings of that dimension: agents ask before anything is built."""
    check = getattr(energy, "check_dim", None)
    if check is not None:
        check(embedding_dim)


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

    quasimetric = True

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


@ENERGIES.register("scaled_dot")
class ScaledDot(Dot):
    """Inner product over the square root of the dimension, x . y / sqrt(D), as in OGBench."""

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        return super().paired(sa, g) / math.sqrt(g.shape[-1])

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return super().pairwise(sa, g) / math.sqrt(g.shape[-1])


@ENERGIES.register("l1")
class L1:
    """Minus the L1 distance, -sum_k |x_k - y_k|."""

    quasimetric = True

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        return -(sa - g).abs().sum(dim=-1)

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return -torch.cdist(sa, g, p=1)


@ENERGIES.register("mrn")
@ENERGIES.register("mrn_potential", potential=True)
class MRN:
    """Minus the quasimetric of metric residual networks: max_k relu(x_k - y_k) over the first half of the coordinates
    plus sqrt(|x - y|^2 + eps) over the second.

    With `potential`, the last coordinate of g is no part of the distance but added to the energy, as c(g) in
    CMD-1 (Myers et al. 2024; paper appendix A.4). Source: Liu et al. 2023. JaxGCRL's "shuffled"
    variants take the goal's embedding from the state-action encoder, so they are a choice of networks, not of energy.
    """

    def __init__(self, *, potential: bool = False, eps: float = 1e-6) -> None:
        """`eps` keeps the gradient finite where embeddings coincide. Raises ValueError if it is not positive."""
        if not eps > 0:
            raise ValueError(f"energy.eps must be positive, got {eps}: at distance 0 the gradient would be infinite")
        self.potential, self.eps, self.quasimetric = potential, eps, not potential

    def check_dim(self, embedding_dim: int) -> None:
        if embedding_dim < 2 + self.potential:
            raise ValueError(f"energy=mrn splits embeddings in two: agent.embedding_dim={embedding_dim} is too small")

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        if not self.potential:
            return -self._distance(sa, g)
        return g[..., -1] - self._distance(sa[..., :-1], g[..., :-1])

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return self.paired(sa[:, None], g)

    def _distance(self, x: Tensor, y: Tensor) -> Tensor:
        difference = x - y
        half = difference.shape[-1] // 2
        symmetric = difference[..., half:].square().sum(dim=-1).add(self.eps).sqrt()
        return difference[..., :half].relu().amax(dim=-1) + symmetric


@ENERGIES.register("iqe")
class IQE(nn.Module):
    """Minus the interval quasimetric: each component of the embedding is a set of intervals [x_k, max(x_k, y_k)], whose
    union has a length; the distance is a learned mix of the largest and the mean length.

    The mix starts at one half. Source: Wang and Isola 2022, "Improved Representation of Asymmetrical Distances with
    Interval Quasimetric Embeddings" (IQE-maxmean).
    """

    quasimetric = True

    def __init__(self, *, component_dim: int = 8) -> None:
        """`component_dim` intervals make a component; it must divide the embedding's dimension, and be positive."""
        super().__init__()
        if component_dim < 1:
            raise ValueError(f"energy.component_dim must be positive, got {component_dim}")
        self.mix = nn.Parameter(torch.zeros(()))
        self._component_dim = component_dim

    def check_dim(self, embedding_dim: int) -> None:
        if embedding_dim % self._component_dim:
            raise ValueError(
                f"energy.component_dim={self._component_dim} does not divide agent.embedding_dim={embedding_dim}"
            )

    def paired(self, sa: Tensor, g: Tensor) -> Tensor:
        lengths = self._union_lengths(sa, g)
        share = self.mix.sigmoid()
        return -(share * lengths.amax(dim=-1) + (1 - share) * lengths.mean(dim=-1))

    def pairwise(self, sa: Tensor, g: Tensor) -> Tensor:
        return self.paired(sa[:, None], g)

    def _union_lengths(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns [..., D / component_dim] lengths, by a sweep over the intervals in the order of their left ends."""
        groups = "... (component interval) -> ... component interval"
        x, y = (rearrange(tensor, groups, interval=self._component_dim) for tensor in (x, y))
        left, order = x.sort(dim=-1)
        left, order, y = torch.broadcast_tensors(left, order, y)
        covered = y.gather(-1, order).cummax(dim=-1).values
        # what an interval adds lies right of its left end, and of all that earlier ones cover
        before = torch.cat([torch.full_like(covered[..., :1], -torch.inf), covered[..., :-1]], dim=-1)
        return (covered - torch.maximum(left, before)).relu().sum(dim=-1)
