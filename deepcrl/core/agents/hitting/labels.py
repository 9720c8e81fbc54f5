"""Goals in hindsight, and when each of them is first reached: what agents that learn hitting times are trained on.

Letters: B rows, W states of a window, m steps of a dwell, G goal. A goal is a sequence of m places: it is reached at a
step from which on the trajectory is near each of them in turn, m steps in a row. With m = 1 it is a place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import repeat
from torch import Tensor

from deepcrl.core.checks import at_least, discount_factor, one_of
from deepcrl.core.seeding import truncated_geometric, uniform_like
from deepcrl.core.types import FutureBatch

CENSORS = ("horizon", "observed")
"""Until when a goal that was not reached counts as not reached: see `hitting_labels`."""


@dataclass(frozen=True, slots=True)
class Dwell:
    """How long a goal has to be kept: `steps` places, `stride` steps of the environment apart."""

    steps: int = 1
    stride: int = 1

    @property
    def span(self) -> int:
        """Steps from the first place of a sequence to its last."""
        return (self.steps - 1) * self.stride

    def window(self, horizon: int) -> int:
        """Returns W, the states to look at in order to see whether a goal is reached at one of `horizon` steps."""
        return horizon + self.span


@dataclass(frozen=True, slots=True)
class HittingLabels:
    """When each row's goal was first reached."""

    hit: Tensor
    """[B] bool, whether it was, as far as one can see"""
    time: Tensor
    """[B] int64, at which step, 0 for the row's own state; where it was not, how many steps passed without it"""
    known: Tensor
    """[B] bool, False for a row from which on there are too few steps to tell even whether its own is one"""

    @property
    def later(self) -> Tensor:
        """Returns whether each goal [B] was reached at a step after the row's own."""
        return self.hit & (self.time > 0)

    def mean_later(self, steps: Tensor, horizon: int) -> Tensor:
        """Returns the 0-dim mean of `steps` [B] over goals that were reached later, `horizon` if there are none."""
        num = self.later.sum()
        return torch.where(num > 0, (steps * self.later).sum() / num.clamp_min(1), float(horizon))

    def metrics(self, horizon: int) -> dict[str, Tensor]:
        """Returns what the batch's goals are: shares reached at all and at once, and the mean time of the others."""
        return {
            "critic/hit": self.hit.float().mean(),
            "critic/at_goal": (self.hit & (self.time == 0)).float().mean(),
            "critic/steps_to_goal": self.mean_later(self.time.float(), horizon),
        }


class GoalDraws:
    """Draws a goal sequence for each row: of its own future, of where it is, or of where others are.

    A *future* goal starts d steps ahead, P(d) proportional to discount^d on all d from which on m places are known
    within the horizon; where there is none the goal is the current one. The *current* goal starts at the row's state. A
    *random* one is the place of the batch's next row, m times: a uniform step of any trajectory of any environment. The
    authors draw it from the own environment's window of 1000 steps, which mixes in fewer other trajectories.
    """

    def __init__(self, *, future: float, current: float, random: float, discount: float, dwell: Dwell) -> None:
        """The three shares are divided by their sum. Raises ValueError for a value out of range."""
        for name, share in (("future", future), ("current", current), ("random", random)):
            at_least(f"agent.{name}_share", share, 0)
        total = future + current + random
        if not 0 < total < float("inf"):
            raise ValueError(
                "agent.future_share, current_share and random_share are shares of a whole, such as 0.85, 0.05 and 0.1, "
                f"got {future}, {current} and {random}"
            )
        discount_factor("agent.goal_discount", discount)
        self._future_up_to, self._random_from = future / total, 1 - random / total
        self._log_discount, self._dwell = math.log(discount), dwell

    def __call__(self, batch: FutureBatch, horizon: int, generator: torch.Generator) -> Tensor:
        """Returns goals [B, m, G]. Does not wait for the device."""
        ahead, dwell = batch.achieved_ahead, self._dwell
        last = last_start(batch, horizon, dwell)
        kind = uniform_like(last, generator)
        offset = truncated_geometric(last.clamp_min(1), self._log_discount, generator)
        start = torch.where((kind < self._future_up_to) & (last >= 1), offset, 0)
        step = start[:, None] + torch.arange(0, dwell.span + 1, dwell.stride, device=ahead.device)
        own = ahead[torch.arange(len(ahead), device=ahead.device)[:, None], step]
        other = repeat(ahead[:, 0].roll(1, dims=0), "b g -> b m g", m=dwell.steps)
        return torch.where((kind >= self._random_from)[:, None, None], other, own)


def last_start(batch: FutureBatch, horizon: int, dwell: Dwell) -> Tensor:
    """Returns the last step [B] within the horizon from which on m places are known; negative if there is none."""
    return batch.steps_left.clamp_max(dwell.window(horizon) - 1) - dwell.span


def first_hit(achieved: Tensor, goal: Tensor, *, radius: float, stride: int = 1) -> Tensor:
    """Returns the first step [B] from which on `achieved` [B, W, G] is near the goal's m places [B, m, G] in turn.

    Near is strictly within the radius. Where there is no such step it is W - (m - 1) stride, the number of those
    looked at. In O(B W m).
    """
    num = achieved.shape[1] - (goal.shape[1] - 1) * stride
    near = None
    for place in range(goal.shape[1]):
        seen = achieved[:, place * stride : place * stride + num]
        squares = [(seen[..., k] - goal[:, place, k, None]).square_() for k in range(goal.shape[2])]
        here = sum(squares[1:], start=squares[0]) < radius**2
        near = here if near is None else near & here
    assert near is not None
    steps = torch.arange(num, dtype=torch.int32, device=achieved.device)  # half the bytes of [B, W] int64
    return torch.where(near, steps, num).amin(dim=1).long()


def hitting_labels(
    batch: FutureBatch, goal: Tensor, *, radius: float, horizon: int, dwell: Dwell, censor: str = "horizon"
) -> HittingLabels:
    """Returns when goals [B, m, G] are first reached, of `horizon` steps from the row's own on.

    A goal that is not seen to be reached in what the buffer holds of its trajectory counts, with `censor=horizon`, as
    not reached within the horizon, as in the authors' code; with `observed`, as not reached in the steps that were seen
    (right-censored there). After a fall nothing is reached any more: that is seen to the horizon either way.
    """
    one_of("agent.censor", censor, CENSORS)
    achieved, last = batch.achieved_ahead[:, : dwell.window(horizon)], last_start(batch, horizon, dwell)
    first = first_hit(achieved, goal, radius=radius, stride=dwell.stride)
    hit = first <= last  # what comes after the trajectory's end only repeats its last step
    never = torch.full_like(first, horizon)
    if censor == "observed":
        never = torch.where(batch.fell, never, (last + 1).clamp_min(0))
    return HittingLabels(hit, torch.where(hit, first, never), known=batch.fell | (last >= 0))
