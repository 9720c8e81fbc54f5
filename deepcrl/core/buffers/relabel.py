"""Hindsight relabelling: how far ahead in its trajectory a transition's goal lies."""

import math

import torch
from torch import Tensor


def geometric_offset(steps_left: Tensor, discount: float, generator: torch.Generator) -> Tensor:
    """Draws offsets [B] on 1..steps_left with P(k) proportional to discount^k: a truncated, renormalised geometric.

    This is the distribution of the released code's T x T categorical (buffer.py:181-207), by inverse CDF instead:
    F(k) = (1 - discount^k) / (1 - discount^steps_left), so k = ceil(log(1 - u (1 - discount^n)) / log(discount)).
    steps_left [B] int64, at least 1. O(B).
    """
    log_discount = math.log(discount)
    u = torch.rand(steps_left.shape, generator=generator, device=steps_left.device, dtype=torch.float64)
    mass = -torch.expm1(steps_left * log_discount)
    offset = torch.ceil(torch.log1p(-u * mass) / log_discount).to(torch.int64)
    # u = 0 gives 0, and rounding can reach one past the end: both events have a probability below 1e-15
    return torch.minimum(offset.clamp_min_(1), steps_left)
