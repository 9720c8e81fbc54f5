"""Hindsight relabelling: how far ahead in its trajectory a transition's goal lies.

A strategy draws offsets [B] int64 in 1..n for `steps_left` [B] int64, which is n: the number of later steps of the same
trajectory that the buffer holds, at least 1. All are O(B) and never wait for the device.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from deepcrl.core.checks import discount_factor
from deepcrl.core.components import RELABELS
from deepcrl.core.seeding import truncated_geometric, uniform_like

Relabel = Callable[[Tensor, torch.Generator], Tensor]
"""(steps_left [B], generator) -> offset [B]"""


@RELABELS.register("geometric")
class Geometric:
    """P(k) proportional to discount^k on 1..n: a truncated, renormalised geometric, the paper's.

    This is the distribution of the released code's T x T categorical (buffer.py:181-207), by inverse CDF instead.
    """

    def __init__(self, *, discount: float = 0.99) -> None:
        self.log_discount = _log(discount)

    def __call__(self, steps_left: Tensor, generator: torch.Generator) -> Tensor:
        return truncated_geometric(steps_left, self.log_discount, generator)


@RELABELS.register("geometric_clipped")
class GeometricClipped:
    """P(k) = (1 - discount) discount^(k-1) for k < n, P(n) = discount^(n-1): the smaller of a geometric and n.

    What would lie beyond the trajectory falls on its last step, as if the agent stayed there (OGBench's `geom_sample`).
    """

    def __init__(self, *, discount: float = 0.99) -> None:
        self.log_discount = _log(discount)

    def __call__(self, steps_left: Tensor, generator: torch.Generator) -> Tensor:
        u = uniform_like(steps_left, generator)
        offset = torch.ceil(torch.log1p(-u) / self.log_discount).to(torch.int64)
        return torch.minimum(offset.clamp_min_(1), steps_left)


@RELABELS.register("uniform_future")
def uniform_future(steps_left: Tensor, generator: torch.Generator) -> Tensor:
    """P(k) = 1/n on 1..n: every later step alike (`future` of HER, Andrychowicz et al. 2017; GCSL)."""
    return _uniform_up_to(steps_left, generator)


@RELABELS.register("final")
def final(steps_left: Tensor, generator: torch.Generator) -> Tensor:
    """P(n) = 1: the trajectory's last step that the buffer holds (`final` of HER, Andrychowicz et al. 2017)."""
    return steps_left.clone()


@RELABELS.register("next_k")
class NextK:
    """P(j) = 1 / min(k, n) on 1..min(k, n): each of the next k steps alike."""

    def __init__(self, *, k: int = 10) -> None:
        if k < 1:
            raise ValueError(f"relabel.k must be at least 1 step, got {k}")
        self.k = k

    def __call__(self, steps_left: Tensor, generator: torch.Generator) -> Tensor:
        return _uniform_up_to(steps_left.clamp_max(self.k), generator)


def _log(discount: float) -> float:
    discount_factor("relabel.discount", discount)
    return math.log(discount)


def _uniform_up_to(largest: Tensor, generator: torch.Generator) -> Tensor:
    # u <= 1 - 2^-53 and largest < 2^31, so the product stays below largest after rounding
    return (uniform_like(largest, generator) * largest).to(torch.int64) + 1
