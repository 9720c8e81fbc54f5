"""What every layout of a dataset is read into, and the checks that all of them need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deepcrl.core.types import EnvSpec

LAYOUTS = "a FILE.npz in OGBench's layout, the id of a local Minari dataset, or the folder of one"


@dataclass(frozen=True, slots=True)
class Trajectories:
    """Trajectories one after the other. The action at the last state of one was never taken."""

    state: np.ndarray
    """[T, S] float32"""
    action: np.ndarray
    """[T, A] float32, in [-1, 1]"""
    last: np.ndarray
    """[T] bool, whether the state is the last of its trajectory"""
    terminated: np.ndarray
    """[T] bool, whether the step from here ended the episode by itself"""


class Source(Protocol):
    """A dataset whose sizes are known before it is read."""

    num_states: int
    state_dims: tuple[int, ...]
    """The sizes of state that it can give."""
    action_dim: int
    says_terminations: bool
    """Whether it says which trajectories ended by themselves."""

    def read(self, spec: EnvSpec) -> Trajectories:
        """Reads it with the states of `spec`; ValueError, in one line, for what no agent can learn from."""
        ...


def check(trajectories: Trajectories, path: str) -> Trajectories:
    """Returns the trajectories; ValueError, in one line, if numbers or trajectories are none to learn from.

    What stands as the action at the last state of a trajectory was never taken: it may be anything.
    """
    last = trajectories.last
    if last[:-1].all():
        raise ValueError(f"buffer.path={path} has no trajectory of two states or more")
    unusable = {
        "states": ~np.isfinite(trajectories.state).all(axis=1),
        "actions": ~np.isfinite(trajectories.action).all(axis=1) & ~last,
    }
    for name, bad in unusable.items():
        if bad.any():
            row = int(bad.argmax())
            number, begin = int(last[:row].sum()), int(np.flatnonzero(last[:row])[-1]) + 1 if last[:row].any() else 0
            place = f"row {row}, which is state {row - begin} of trajectory {number}"
            raise ValueError(f"buffer.path={path} has {name} that are not finite, first in {place}")
    taken = trajectories.action[~last]
    low, high = taken.min(), taken.max()
    if low < -1.001 or high > 1.001:
        raise ValueError(f"buffer.path={path} has actions between {low:g} and {high:g}; scale them to [-1, 1]")
    return trajectories


def flags(values: np.ndarray, what: str) -> np.ndarray:
    """Returns `values` [T] as booleans; ValueError that begins with `what` if one of them is neither 0 nor 1."""
    bad = (values != 0) & (values != 1)
    if bad.any():
        raise ValueError(f"{what} that are neither 0 nor 1, first {values[bad][0]:g} in row {bad.argmax()}")
    return values != 0
