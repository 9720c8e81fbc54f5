"""Actions [..., N, A] to be valued at N observations, as rows of one batch."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

from deepcrl.core.types import Observation


def as_rows(observation: Observation, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns state [R, S], action [R, A] and goal [R, G]: one row for each of the actions [..., N, A], R of them.

    What is computed of the rows, [R], takes the actions' leading shape again by `view(action.shape[:-1])`.
    """
    leading = action.shape[:-1]
    state, goal = (x.expand(*leading, -1) for x in (observation.state, observation.goal))
    state, action, goal = (rearrange(x, "... env dim -> (... env) dim") for x in (state, action, goal))
    return state, action, goal
