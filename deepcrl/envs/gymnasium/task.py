"""`env=gymnasium env.id=PointMaze_UMaze-v3`: any goal environment of Gymnasium, and plain ones with a goal by index."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from deepcrl.core.checks import above, suggest
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.gymnasium import robotics_shim

if TYPE_CHECKING:
    import gymnasium

GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")
SUCCESS_KEYS = ("success", "is_success")
"""What an environment's `info` may call it: mazes and Adroit say the first, Fetch and Hand the second."""
VECTORIZATIONS = ("sync", "async")
ROBOTICS = "gymnasium_robotics"
FPS = 20
"""Pictures per second of an environment that does not say."""
_NO_KWARGS: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Facts:
    """What one step in one copy of an environment shows."""

    spec: EnvSpec
    action_low: np.ndarray
    """[A] of the environment; an agent's -1"""
    action_high: np.ndarray
    success_key: str | None
    """Where in `info` the environment says whether it succeeded, or None if `success_radius` decides."""
    ctrl_dt: float
    """Seconds per step, as its `render_fps` says."""
    has_pictures: bool
    """Whether it draws itself as `rgb_array`."""


@ENVS.register("gymnasium")
class GymnasiumTask:
    """A Gymnasium environment `id`, made with the arguments `kwargs` (`env.kwargs.continuing_task=false`).

    *Goal environments* (PointMaze, AntMaze, Fetch, Hand of gymnasium-robotics) observe a dict of `observation`,
    `achieved_goal` and `desired_goal`. The state is `observation` with `achieved_goal` behind it, whose places are
    the goal indices; `desired_goal` is the commanded goal and no part of the state.

    *Plain environments* observe a vector. `goal_indices` says where in it the achieved goal is, and each episode's
    goal is drawn uniformly from the box between `goal_low` and `goal_high` (equal ones: always the same goal). The
    environment knows nothing of that goal: `env.id=Reacher-v5 env.goal_indices=[8,9] env.goal_low=[0,0]
    env.goal_high=[0,0] env.success_radius=0.02` asks for no distance between fingertip and target.

    Success is the environment's own word, `info["success"]` or `info["is_success"]`; with `success_radius` it is a
    distance to the goal below that, which is what an environment without either needs. Distance is Euclidean in goal
    space: where a goal holds a rotation (HandManipulate), trust success and not distance. Actions in [-1, 1] are
    scaled to the bounds of the action space. Reward is not looked at, and an episode's length is the run's
    `episode_length`, not the environment's own limit.

    `vectorization` is Gymnasium's: `sync` steps all copies in this process, `async` takes one process for each. 16
    copies of PointMaze on two idle cores make 3,600 and 5,300 env steps/s.
    """

    def __init__(
        self,
        *,
        id: str = "PointMaze_UMaze-v3",
        kwargs: dict[str, Any] = _NO_KWARGS,
        goal_indices: tuple[int, ...] = (),
        goal_low: tuple[float, ...] = (),
        goal_high: tuple[float, ...] = (),
        success_radius: float | None = None,
        vectorization: str = "sync",
    ) -> None:
        if vectorization not in VECTORIZATIONS:
            raise ValueError(suggest("vectorization", vectorization, VECTORIZATIONS))
        if success_radius is not None:
            above("success_radius", success_radius, 0)
        if len(goal_low) != len(goal_indices) or len(goal_high) != len(goal_indices):
            raise ValueError(
                f"goal_low={list(goal_low)} and goal_high={list(goal_high)} need one number "
                f"for each of goal_indices={list(goal_indices)}"
            )
        for low, high in zip(goal_low, goal_high, strict=True):
            if not low <= high:
                raise ValueError(f"goal_low must not exceed goal_high, got {low} and {high}")
        self.id, self.kwargs = id, dict(kwargs)
        self.goal_indices = tuple(goal_indices)
        self.goal_low, self.goal_high = tuple(goal_low), tuple(goal_high)
        self.success_radius = success_radius
        self.vectorization = vectorization

    euclidean = True

    @property
    def spec(self) -> EnvSpec:
        """The sizes of the task. Raises ValueError if the environment cannot be made or is none to reach goals in."""
        return self.facts.spec

    @cached_property
    def facts(self) -> Facts:
        """Makes one copy and takes one step in it; raises as `spec`."""
        env = make_one(self.id, self.kwargs)
        try:
            low, high = self._action_bounds(env)
            spec = EnvSpec(self._state_dim(env), len(low), self._indices(env))
            env.reset(seed=0)
            info = env.step(((low + high) / 2).astype(env.action_space.dtype))[4]
        finally:
            env.close()
        key = next((key for key in SUCCESS_KEYS if key in info), None)
        if key is None and self.success_radius is None:
            raise ValueError(f"env.id={self.id} does not say what success is: set env.success_radius")
        return Facts(
            spec=spec,
            action_low=low,
            action_high=high,
            success_key=key if self.success_radius is None else None,
            ctrl_dt=1 / (env.metadata.get("render_fps") or FPS),
            has_pictures="rgb_array" in env.metadata.get("render_modes", ()),
        )

    @property
    def ctrl_dt(self) -> float:
        """Seconds per step."""
        return self.facts.ctrl_dt

    def distance(self, state: Tensor, goal: Tensor) -> Tensor:
        """Returns the Euclidean distance [N] between what states [N, S] achieve and goals [N, G]."""
        return torch.linalg.vector_norm(state[:, list(self.spec.goal_indices)] - goal, dim=1)

    @property
    def has_own_goals(self) -> bool:
        """Whether the environment gives the goals; else they are drawn from the box."""
        return not self.goal_indices

    def _action_bounds(self, env: gymnasium.Env) -> tuple[np.ndarray, np.ndarray]:
        low, high = getattr(env.action_space, "low", None), getattr(env.action_space, "high", None)
        if low is None or high is None or low.ndim != 1 or not np.isfinite([low, high]).all():
            raise ValueError(f"env.id={self.id} has actions {env.action_space}; a bounded vector of numbers is needed")
        return low.astype(np.float64), high.astype(np.float64)

    def _state_dim(self, env: gymnasium.Env) -> int:
        spaces = getattr(env.observation_space, "spaces", {})
        if self.has_own_goals:
            if not set(GOAL_KEYS) <= set(spaces):
                raise ValueError(
                    f"env.id={self.id} has no goals of its own: set env.goal_indices, where in its observation a goal "
                    "is, and env.goal_low and env.goal_high, between which goals are drawn"
                )
            shapes = [spaces[key].shape for key in GOAL_KEYS]
            if any(len(shape or ()) != 1 for shape in shapes) or shapes[1] != shapes[2]:
                raise ValueError(f"env.id={self.id}: {', '.join(GOAL_KEYS)} must be vectors, got shapes {shapes}")
            return shapes[0][0] + shapes[1][0]
        if spaces:
            raise ValueError(
                f"env.goal_indices: env.id={self.id} observes a dict, with goals of its own or none; leave it out"
            )
        shape = env.observation_space.shape or ()
        if len(shape) != 1:
            raise ValueError(f"env.id={self.id} observes {env.observation_space}; a vector of numbers is needed")
        if not all(0 <= index < shape[0] for index in self.goal_indices):
            raise ValueError(
                f"env.goal_indices={list(self.goal_indices)} must be within 0 and {shape[0] - 1}, "
                f"the places of an observation of {self.id}"
            )
        return shape[0]

    def _indices(self, env: gymnasium.Env) -> tuple[int, ...]:
        if not self.has_own_goals:
            return self.goal_indices
        observation, achieved, _ = (env.observation_space[key].shape[0] for key in GOAL_KEYS)  # type: ignore[index]
        return tuple(range(observation, observation + achieved))


def make_one(id: str, kwargs: Mapping[str, Any]) -> gymnasium.Env:
    """Makes one copy of a Gymnasium environment without its own time limit.

    Raises ValueError, in one line, if there is none of that name, its package is missing, or it refuses `kwargs`.
    """
    import gymnasium

    if "max_episode_steps" in kwargs:
        raise ValueError("env.kwargs.max_episode_steps: an episode's length is the run's episode_length")
    module, _, name = id.rpartition(":")
    try:
        if importlib.util.find_spec(ROBOTICS):
            robotics_shim.apply()
        if module:  # "module:Name-v0": importing the module registers the id
            importlib.import_module(module)
        spec = gymnasium.spec(name)
    except ImportError as error:
        raise ValueError(f"env.id={id}: {error}") from error
    except gymnasium.error.Error as error:
        raise ValueError(_unknown(name, gymnasium.registry)) from error
    try:
        return gymnasium.make(spec, max_episode_steps=-1, disable_env_checker=True, **kwargs)
    except Exception as error:  # other people's environments raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"env.id={id} cannot be made: {reason}") from error


def _unknown(id: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(id, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if not importlib.util.find_spec(ROBOTICS):
        hint += " PointMaze, AntMaze, Fetch and Hand need gymnasium-robotics: pip install 'deepcrl[robotics]'"
    return f"Unknown Gymnasium environment {id!r}.{hint}"
