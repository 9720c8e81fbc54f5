"""Time in bins: steps 0..horizon - 1, of which each bin holds one, or the later ones more and more."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from deepcrl.core.checks import at_least, at_most

MAX_HORIZON = 100_000
"""Steps; a batch holds a window of so many states for each row."""


def bin_edges(horizon: int, num_bins: int, name: str = "num_bins") -> list[int]:
    """Returns the edges 0 = b_0 < ... < b_K = horizon of K bins, bin k being the steps b_k..b_{k+1} - 1.

    With `num_bins` of `horizon` or more each holds one step. Fewer grow geometrically, their edges being
    round(horizon^(i / num_bins)); the first ones fall together, so that K is less than was asked for. `name` is
    the setting of their number.
    """
    at_least("agent.horizon", horizon, 1)
    at_most("agent.horizon", horizon, MAX_HORIZON)
    at_least(f"agent.{name}", num_bins, 1)
    if num_bins >= horizon:
        return list(range(horizon + 1))
    return sorted({0, horizon, *(round(horizon ** (i / num_bins)) for i in range(num_bins + 1))})


class TimeBins:
    """Bins of steps, as tables on the device."""

    def __init__(self, edges: list[int], device: torch.device) -> None:
        bounds = torch.tensor(edges)
        steps = torch.arange(edges[-1] + 1)
        after = torch.searchsorted(bounds, steps, right=True)
        self.num = len(edges) - 1
        self.edges = bounds
        self.of_step = (after - 1).clamp_max(self.num - 1).to(device)
        """[horizon + 1] the bin of each step; the last one's for the horizon itself"""
        self.num_before = (after - 1).to(device)
        """[horizon + 1] how many bins are over when that many steps are"""
        self.index = torch.arange(self.num, device=device)

    def sums(self, per_step: Tensor) -> Tensor:
        """Returns the sums over each bin's steps [B, K] of values [B, horizon]."""
        until = pad(per_step.cumsum(dim=1), (1, 0))
        return until[:, self.edges.to(per_step.device)].diff(dim=1)

    def discounted_steps(self, discount: float) -> Tensor:
        """Returns sum_t discount^t over the steps t of each bin [K], in float64 on the CPU."""
        power = discount ** self.edges.double()
        return (power[:-1] - power[1:]) / (1 - discount)
