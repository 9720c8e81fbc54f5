"""How much of the time ahead is spent near a goal: labels, and what that is worth."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.agents.hitting.bins import TimeBins
from deepcrl.core.types import FutureBatch

NESTED_RADII = (1.0, 0.5, 0.25)
"""In radii of success: a step near the goal's centre counts in full, one at its border by a third."""


def occupancy_labels(
    batch: FutureBatch, goal: Tensor, *, radius: float, bins: TimeBins, horizon: int
) -> tuple[Tensor, Tensor]:
    """Returns, for each bin of steps ahead, the share of its steps near goals [B, G], and how many were seen: [B, K].

    After a fall nothing is near, which counts as seen; what comes after the end of anything else was not seen.
    """
    achieved = batch.achieved_ahead[:, :horizon]
    squares = [(achieved[..., k] - goal[:, k, None]).square_() for k in range(goal.shape[1])]
    distance = sum(squares[1:], start=squares[0])
    near = torch.zeros_like(distance)
    for share in NESTED_RADII:
        near += distance < (share * radius) ** 2
    steps = torch.arange(horizon, device=goal.device)
    known = steps <= batch.steps_left[:, None]
    near = near.mul_(known).div_(len(NESTED_RADII))
    seen = (known | batch.fell[:, None]).float()
    per_bin, num_seen = bins.sums(near), bins.sums(seen)
    return per_bin / num_seen.clamp_min(1), num_seen


def occupancy_weights(bins: TimeBins, discount: float) -> Tensor:
    """Returns sum_t discount^t over the steps of each bin [K], 0 for the first: where one is now is no merit."""
    weights = bins.discounted_steps(discount)
    weights[0] = 0
    return weights.float().to(bins.index.device)
