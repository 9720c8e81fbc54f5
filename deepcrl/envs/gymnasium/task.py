"""`env=gymnasium env.id=PointMaze_UMaze-v3`: any goal environment of Gymnasium, and plain ones with a goal by index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from deepcrl.core.checks import above, suggest
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.gymnasium.single import GOAL_KEYS, in_one_line, make_one

SUCCESS_KEYS = ("success", "is_success")
"""What an environment's `info` may call it: mazes and Adroit say the first, Fetch and Hand the second."""
VECTORIZATIONS = ("sync", "async")
_INFO = "info:"
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
    action_dtype: np.dtype
    success_key: str | None
    """Where in `info` the environment says whether it succeeded, at goals of its own or at others; None: nowhere."""
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
    environment knows nothing of that goal, so success is a distance below `success_radius`, which must be set:
    `env.id=Reacher-v5 env.goal_indices=[8,9] env.goal_low=[0,0] env.goal_high=[0,0] env.success_radius=0.02` asks for
    no distance between fingertip and target. An episode that the environment ends with success, at a goal of its own,
    is truncated; any other end is a termination.

    *Plain environments with goals in `info`* (OGBench): `goal_from=info:goal` takes the goal from `info["goal"]` of
    `reset`: a whole observation, of which `goal_indices` are the goal (all by default), or just those entries.

    At goals of its own success is the environment's word, `info["success"]` or `info["is_success"]`; with
    `success_radius` it is a distance below that. Distance is Euclidean in goal space: where a goal holds a rotation
    (HandManipulate), trust success and not distance. Actions in [-1, 1] are scaled to the bounds of the action space;
    of integers each has an equal share. Reward is not looked at, and an episode's length is the run's
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
        goal_from: str | None = None,
        success_radius: float | None = None,
        vectorization: str = "sync",
    ) -> None:
        if vectorization not in VECTORIZATIONS:
            raise ValueError(suggest("vectorization", vectorization, VECTORIZATIONS))
        if success_radius is not None:
            above("success_radius", success_radius, 0)
        if goal_from is not None and (not goal_from.startswith(_INFO) or goal_from == _INFO):
            raise ValueError(f"goal_from must be info:KEY, such as info:goal, got {goal_from}")
        if goal_from is not None and (goal_low or goal_high):
            raise ValueError(f"goal_from={goal_from} takes the environment's goals: leave out goal_low and goal_high")
        if goal_from is None and not (len(goal_low) == len(goal_high) == len(goal_indices)):
            raise ValueError(
                f"goal_low={list(goal_low)} and goal_high={list(goal_high)} need one number "
                f"for each of goal_indices={list(goal_indices)}"
            )
        for low, high in zip(goal_low, goal_high, strict=True):
            if not low <= high:
                raise ValueError(f"goal_low must not exceed goal_high, got {low} and {high}")
        if goal_from is None and goal_indices and success_radius is None:
            raise ValueError(
                f"env.id={id} knows nothing of the goals that env.goal_indices has drawn: set env.success_radius, the "
                "distance to the goal below which a state succeeds"
            )
        self.id, self.kwargs = id, dict(kwargs)
        self.goal_indices = tuple(goal_indices)
        self.goal_low, self.goal_high = tuple(goal_low), tuple(goal_high)
        self.goal_key = None if goal_from is None else goal_from.removeprefix(_INFO)
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
            middle = ((low + high) / 2).astype(env.action_space.dtype)
            try:
                first = env.reset(seed=0)[1]
                info = env.step(middle)[4]
            except Exception as error:  # other people's environments raise anything
                raise ValueError(f"env.id={self.id} cannot be stepped: {in_one_line(error)}") from error
        finally:
            env.close()
        if self.goal_key is not None:
            self._check_goal(first, spec)
        key = next((key for key in SUCCESS_KEYS if key in info), None)
        if key is None and self.success_radius is None:
            raise ValueError(f"env.id={self.id} does not say what success is: set env.success_radius")
        return Facts(
            spec=spec,
            action_low=low,
            action_high=high,
            action_dtype=np.dtype(env.action_space.dtype),
            success_key=key,
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

    def to_action_space(self, action: Tensor) -> np.ndarray:
        """Returns actions [N, A] in [-1, 1] in the bounds of the environment; integers have equal shares of them."""
        facts = self.facts
        low, size = facts.action_low, facts.action_high - facts.action_low
        unit = (action.double().cpu().numpy().clip(-1, 1) + 1) / 2
        if np.issubdtype(facts.action_dtype, np.integer):
            return (low + np.minimum(np.floor(unit * (size + 1)), size)).astype(facts.action_dtype)
        return (low + unit * size).astype(facts.action_dtype)

    @property
    def has_own_goals(self) -> bool:
        """Whether the environment gives the goals, in its observation or `info`; else they are drawn from the box."""
        return self.observes_goals or self.goal_key is not None

    @property
    def observes_goals(self) -> bool:
        """Whether it observes a dict of `GOAL_KEYS`."""
        return not self.goal_indices and self.goal_key is None

    def goal_of(self, value: np.ndarray) -> np.ndarray:
        """Returns the goal [G] of what `info` holds: the goal itself, or a whole observation."""
        spec, flat = self.spec, np.asarray(value, dtype=np.float32).reshape(-1)
        return flat[list(spec.goal_indices)] if len(flat) == spec.state_dim else flat

    def state_field(self, column: int) -> str:
        """Returns which entry of the environment's observation is that column of the state."""
        split = self.spec.state_dim - self.spec.goal_dim
        if self.observes_goals and column >= split:
            return f"{GOAL_KEYS[1]}[{column - split}]"
        return f"{GOAL_KEYS[0]}[{column}]"

    @property
    def goal_field(self) -> str:
        """Where a goal comes from."""
        if self.goal_key is not None:
            return f"info[{self.goal_key!r}]"
        return GOAL_KEYS[2] if self.observes_goals else "the drawn goal"

    def _check_goal(self, info: dict[str, Any], spec: EnvSpec) -> None:
        """Raises ValueError unless `info`, of a reset, holds a goal of this `spec`."""
        if self.goal_key not in info:
            has = f"it has {', '.join(sorted(map(str, info)))}" if info else "it is empty"
            raise ValueError(
                f"env.goal_from=info:{self.goal_key}: the info of env.id={self.id} has no {self.goal_key!r} after a "
                f"reset; {has}"
            )
        value = np.asarray(info[self.goal_key])
        if not np.issubdtype(value.dtype, np.number) or value.size not in (spec.state_dim, spec.goal_dim):
            raise ValueError(
                f"env.goal_from=info:{self.goal_key}: env.id={self.id} gives {value.dtype} of shape {value.shape}; a "
                f"goal of {spec.goal_dim} numbers or a state of {spec.state_dim} is needed"
            )

    def _action_bounds(self, env: gymnasium.Env) -> tuple[np.ndarray, np.ndarray]:
        low, high = getattr(env.action_space, "low", None), getattr(env.action_space, "high", None)
        if low is None or high is None or low.ndim != 1 or not np.isfinite([low, high]).all():
            raise ValueError(f"env.id={self.id} has actions {env.action_space}; a bounded vector of numbers is needed")
        return low.astype(np.float64), high.astype(np.float64)

    def _state_dim(self, env: gymnasium.Env) -> int:
        spaces = getattr(env.observation_space, "spaces", {})
        if self.observes_goals:
            if not set(GOAL_KEYS) <= set(spaces):
                raise ValueError(
                    f"env.id={self.id} has no goals of its own: set env.goal_indices, where in its observation a goal "
                    "is, env.goal_low and env.goal_high, between which goals are drawn, and env.success_radius; or "
                    "env.goal_from=info:KEY, if its info holds a goal"
                )
            shapes = [spaces[key].shape for key in GOAL_KEYS]
            if any(len(shape or ()) != 1 for shape in shapes) or shapes[1] != shapes[2]:
                raise ValueError(f"env.id={self.id}: {', '.join(GOAL_KEYS)} must be vectors, got shapes {shapes}")
            return shapes[0][0] + shapes[1][0]
        if spaces:
            raise ValueError(
                f"env.goal_{'indices' if self.goal_key is None else 'from'}: env.id={self.id} observes a dict, with "
                "goals of its own or none; leave it out"
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
        if not self.observes_goals:
            return self.goal_indices or tuple(range(self._state_dim(env)))
        observation, achieved, _ = (env.observation_space[key].shape[0] for key in GOAL_KEYS)  # type: ignore[index]
        return tuple(range(observation, observation + achieved))
