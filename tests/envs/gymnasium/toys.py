"""Gymnasium environments that know other goals than ours, or misbehave. Registered by the fixture `toys`."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from deepcrl.envs.gymnasium.single import GOAL_KEYS


class Plane(gymnasium.Env):
    """A point [2] that moves by up to 0.5 m per step, and says of every state what `success` is.

    It starts at the origin; `info["goal"]` of a reset is a goal of its own at (3, 4). `ends_at` is the step that
    terminates the episode, `raises_at` the one of its whole life that raises, and
    `forgets_at` the reset that says no goal.
    """

    observation_space = Box(-np.inf, np.inf, (2,))
    action_space = Box(-0.5, 0.5, (2,))

    def __init__(
        self, success: bool = True, ends_at: int = 0, raises_at: int = 0, short_goal: bool = False, forgets_at: int = 0
    ) -> None:
        self.success, self.ends_at, self.raises_at, self.short_goal = success, ends_at, raises_at, short_goal
        self.forgets_at, self.taken, self.resets = forgets_at, 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.x, self.steps, self.resets = np.zeros(2), 0, self.resets + 1
        if self.resets == self.forgets_at:
            return self.x.copy(), {}
        return self.x.copy(), {"goal": np.array([4.0] if self.short_goal else [3.0, 4.0])}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.x, self.steps = self.x + action, self.steps + 1
        self.taken += 1
        if self.taken == self.raises_at:
            raise RuntimeError("the sensor\nis gone")
        return self.x.copy(), 1.0, self.steps == self.ends_at, False, {"success": self.success}


class Retarget(gymnasium.Env):
    """A point on a line that gets another goal when it reaches one, in the order of gymnasium-robotics' mazes.

    The observation of the step that reaches a goal still shows it; success always means the goal held before the step.
    """

    action_space = Box(-0.5, 0.5, (1,))
    observation_space = Dict({key: Box(-np.inf, np.inf, (1,)) for key in GOAL_KEYS})
    reset_target = True

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.x, self.goal = np.zeros(1), np.array([1.0])
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.x = self.x + action
        seen, reached = self._seen(), bool(abs(self.x - self.goal)[0] < 0.3)
        if reached:
            self.goal = -self.goal
        return seen, 0.0, False, False, {"success": reached}

    def _seen(self) -> dict[str, np.ndarray]:
        return dict(zip(GOAL_KEYS, (self.x.copy(), self.x.copy(), self.goal.copy()), strict=True))


class Faulty(gymnasium.Env):
    """A goal environment in which `field` is `value` from step `when` on (0: at the reset), or which then raises."""

    metadata: ClassVar = {"render_modes": ["rgb_array"]}  # pyright: ignore
    action_space = Box(-1.0, 1.0, (1,))
    observation_space = Dict({key: Box(-np.inf, np.inf, (3 if key == "observation" else 1,)) for key in GOAL_KEYS})

    def __init__(
        self, field: str = "", value: str = "nan", when: int = 0, picture: Any = None, render_mode: str | None = None
    ) -> None:
        self.field, self.value, self.when, self.picture = field, float(value), when, picture
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self._seen(), 0.0, False, False, {"success": False}

    def render(self) -> Any:
        return {"none": None, "floats": np.zeros((4, 4, 3))}[self.picture]

    def _seen(self) -> dict[str, np.ndarray]:
        seen = {key: np.zeros(space.shape) for key, space in self.observation_space.items()}  # type: ignore[arg-type]
        if self.steps >= self.when and self.field == "raise":
            raise RuntimeError("the sensor\nis gone")
        if self.steps >= self.when and self.field:
            seen[self.field][-1] = self.value
        return seen


class Whole(gymnasium.Env):
    """A point whose actions are whole numbers from -1 to 3; it observes the last one."""

    action_space = Box(-1, 3, (1,), dtype=np.int64)
    observation_space = Box(-9, 9, (1,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.asarray(action, np.float32), 0.0, False, False, {}


TOYS = {f"toy/{toy.__name__}-v0": toy for toy in (Plane, Retarget, Faulty, Whole)}
