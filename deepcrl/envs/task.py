"""What a goal-reaching task must say. Everything is batched torch, written once and run by every physics engine."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import mujoco
import numpy as np
import torch
from torch import Tensor

from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics


@dataclass(frozen=True, slots=True)
class Start:
    """The start of K episodes."""

    qpos: Tensor
    """[K, nq] float64"""
    qvel: Tensor
    """[K, nv] float64"""
    goal: Tensor
    """[K, G] float32"""


def concat_float32(parts: Sequence[Tensor]) -> Tensor:
    """Returns `parts`, [N, D] each, joined along D as new float32 memory: for large states.

    On a CPU by numpy, in one pass on one thread. Torch would share it among its threads, and OpenMP's threads then spin
    for milliseconds on processors that the physics needs.
    """
    if parts[0].device.type != "cpu":
        return torch.cat(list(parts), dim=1).float()
    with np.errstate(over="ignore"):  # an unstable simulation may hold values beyond float32
        return torch.from_numpy(np.concatenate([part.numpy() for part in parts], axis=1, dtype=np.float32))


class GoalTask(ABC):
    """One task: its model, observed state, starts, goals and success. Holds no simulation, so vectors can share it.

    Subclasses set the attributes below and register themselves in `ENVS`; their keyword-only constructor arguments
    are the task's hyperparameters.
    """

    spec: EnvSpec
    state_labels: tuple[str, ...]
    """What each entry of the state is, with its unit: the documentation is made from it."""
    action_labels: tuple[str, ...]
    """What each entry of the action drives."""
    success_radius: float
    """A state succeeds when its distance to the goal is strictly smaller."""
    success_easy: float | None = None
    """The looser threshold that the task's source also counts, or None if it has none; not a hyperparameter."""
    success_hard: float | None = None
    """The stricter one."""
    euclidean: bool = True
    """Whether `distance` is the Euclidean one of goals: agents that compute a reward from goals need that."""
    substeps: int = 5
    """Physics time steps per control step."""
    derived: bool = False
    """Whether `state` reads derived fields (xpos, cvel, ...). They are then brought up to date after every step and
    reset; qpos and qvel never lag."""
    has_headings: bool = False
    """Whether an action is a direction along x and y, so that it says to which side the robot goes."""
    goal_marker: str | None = "goal"
    """The mocap body that shows the commanded goal, or None. It has no mass, no dofs and no contacts. Mocap bodies that
    the scene adds after it show further parts of the goal."""

    @abstractmethod
    def build(self) -> mujoco.MjSpec:
        """Returns a fresh model of the whole scene."""

    @abstractmethod
    def state(self, physics: Physics) -> Tensor:
        """Returns the observed state [N, S] as new float32 memory. The commanded goal must not show in it."""

    @abstractmethod
    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        """Draws `num` starts and goals, on the generator's device."""

    def control(self, physics: Physics, action: Tensor) -> Tensor:
        """Returns controls [N, nu] for actions [N, A] in [-1, 1]: by default the action, which MuJoCo clips."""
        return action

    def terminated(self, state: Tensor) -> Tensor:
        """Returns which states [N, S] end their episode, [N] bool: by default none."""
        return torch.zeros(len(state), dtype=torch.bool, device=state.device)

    def achieved(self, state: Tensor) -> Tensor:
        """Returns the goal that states [N, S] achieve, [N, G]."""
        return state[:, self._goal_index]

    def distance(self, state: Tensor, goal: Tensor) -> Tensor:
        """Returns the Euclidean distance [N] between what states [N, S] achieve and goals [N, G]."""
        return torch.linalg.vector_norm(self.achieved(state) - goal, dim=1)

    def moved_goal(self, state: Tensor, goal: Tensor) -> Tensor:
        """Returns the commanded goals [N, G] once a step has led to states [N, S]: by default they stay.

        A goal that moves with an object must be a function of the state. Distance and success speak of where it moved.
        """
        return goal

    def goal_bounds(self) -> Tensor | None:
        """Returns the lowest and the highest value of each entry of the goals that are drawn, [2, G], or None."""
        return None

    def marker_position(self, goal: Tensor) -> Tensor:
        """Returns where to show goals [K, G]: [K, 3], by default with a missing third coordinate on the floor.

        With M markers, [K, M, 3].
        """
        return torch.nn.functional.pad(goal, (0, 3 - goal.shape[1]))

    @property
    def goal_labels(self) -> tuple[str, ...]:
        """What each entry of the goal is: the state's labels at the goal indices."""
        return tuple(self.state_labels[index] for index in self.spec.goal_indices)

    @cached_property
    def model(self) -> mujoco.MjModel:
        """The compiled model, shared by everything made from this task: do not write to it."""
        return self.build().compile()

    @cached_property
    def ctrl_dt(self) -> float:
        """Seconds per control step."""
        return self.substeps * self.model.opt.timestep

    @cached_property
    def _goal_index(self) -> slice | Tensor:
        indices = self.spec.goal_indices
        first, last = indices[0], indices[-1]
        if indices == tuple(range(first, last + 1)):
            return slice(first, last + 1)  # a view; an index tensor would copy
        return torch.tensor(indices)
