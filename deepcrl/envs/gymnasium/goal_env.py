"""Our tasks as goal environments of Gymnasium: one copy (`gymnasium.make`), or N stepped together (`make_vec`)."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import MethodType
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from torch import Tensor

from deepcrl.core.checks import at_least, suggest
from deepcrl.envs.make import make_task
from deepcrl.envs.pictures.render import OVERVIEW, rendering
from deepcrl.envs.settings import EnvInputs
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv

EPISODE_LENGTH = 1000
RENDER_MODES = ["rgb_array"]
_SEEDS = 2**31

Observed = dict[str, np.ndarray]


class _TaskAdapter:
    """What one copy and N copies of a task share: spaces, observations, reward, pictures.

    The observation is a dict, all float32: `observation`, the state [S], `achieved_goal` [G] and `desired_goal` [G].
    Actions [A] are in [-1, 1]. The reward is 1 where the task's distance between achieved and desired goal is less than
    its `success_radius`, else 0, and `info["is_success"]` says the same. Reaching the goal does not end an episode.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 20}  # noqa: RUF012 - Gymnasium's

    def _make_task(self, cfg: dict[str, Any], render_mode: str | None, camera: str, size: int) -> tuple[Dict, Box]:
        """Makes the task of `cfg`; returns the spaces of one copy."""
        if render_mode not in [None, *RENDER_MODES]:
            raise ValueError(suggest("render_mode", render_mode, RENDER_MODES))
        at_least("size", size, 16)
        task = make_task(cfg)
        assert isinstance(task, GoalTask)
        self.task, self.render_mode = task, render_mode
        self.metadata = self.metadata | {"render_fps": round(1 / task.ctrl_dt)}
        self._camera, self._size = camera, size
        self._drawing, self._picture = ExitStack(), None
        state, goal = ((-np.inf, np.inf, (dim,), np.float32) for dim in (task.spec.state_dim, task.spec.goal_dim))
        return (
            Dict({"observation": Box(*state), "achieved_goal": Box(*goal), "desired_goal": Box(*goal)}),
            Box(-1.0, 1.0, (task.spec.action_dim,), np.float32),
        )

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        """Returns the rewards [...] of achieved and desired goals [..., G]; `info` has no effect."""
        achieved, desired = np.broadcast_arrays(achieved_goal, desired_goal)
        spec, goals = self.task.spec, torch.tensor(desired).reshape(-1, self.task.spec.goal_dim)
        # A task's distance reads only the achieved goal of a state, so the other entries may be zero
        state = torch.zeros(len(goals), spec.state_dim, dtype=goals.dtype)
        state[:, list(spec.goal_indices)] = torch.tensor(achieved).reshape(goals.shape).to(goals)
        success = self.task.distance(state, goals) < self.task.success_radius
        return success.double().numpy().reshape(achieved.shape[:-1])

    def _observe(self, state: Tensor, goal: Tensor) -> Observed:
        """Returns states [N, S] with goals [N, G] as new arrays."""
        values = {"observation": state, "achieved_goal": self.task.achieved(state), "desired_goal": goal}
        return {key: value.numpy().copy() for key, value in values.items()}

    def _draw(self, envs: TaskVectorEnv) -> Callable[[int], np.ndarray]:
        """Returns what draws copy `index`; errors as `Renderer`."""
        if self._picture is None:
            self._picture = self._drawing.enter_context(rendering(envs, self._size, self._size, self._camera))
        return self._picture

    def _stop_drawing(self) -> None:
        self._drawing.close()
        self._picture = None


class GoalEnv(_TaskAdapter, gymnasium.Env):
    """One copy of the task `name` as a Gymnasium environment; `hyperparameters` are the task's.

    `camera` and `size`, in pixels, are those of `render`. An episode ends when the task says so; its time limit is
    Gymnasium's `max_episode_steps`. A simulation that becomes unstable is truncated. Raises ValueError as `make_task`.
    """

    def __init__(
        self,
        name: str,
        *,
        render_mode: str | None = None,
        camera: str = OVERVIEW,
        size: int = 480,
        **hyperparameters: Any,
    ) -> None:
        spaces = self._make_task({"name": name, **hyperparameters}, render_mode, camera, size)
        self.observation_space, self.action_space = spaces
        # Gymnasium resets by calling `reset`, and may render before: the copy inside must not reset itself
        endless = copy.copy(self.task)
        endless.terminated = MethodType(GoalTask.terminated, endless)
        inputs = EnvInputs(num_envs=1, episode_length=sys.maxsize, seed=0, num_threads=1)
        self._envs = TaskVectorEnv(endless, inputs)
        self._goal = torch.zeros(1, self.task.spec.goal_dim)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observed, dict]:
        """Draws a start and a goal; `options` has no effect."""
        super().reset(seed=seed)
        first = self._envs.reset(seed=int(self.np_random.integers(_SEEDS)))
        self._goal = first.goal
        return self._observe_one(first.state), {}

    def step(self, action: np.ndarray) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Advances by one control step with `action` [A]."""
        step = self._envs.step(torch.as_tensor(np.asarray(action, dtype=np.float32))[None])
        seen = self._observe_one(step.next_state)
        reward = float(self.compute_reward(seen["achieved_goal"], seen["desired_goal"], {}))
        terminated = bool(self.task.terminated(step.next_state)[0])
        return seen, reward, terminated, bool(step.truncated[0]) and not terminated, {"is_success": reward > 0}

    def render(self) -> np.ndarray | None:
        """Returns the picture [size, size, 3] uint8, or None without a render_mode; errors as `Renderer`."""
        return None if self.render_mode is None else self._draw(self._envs)(0)

    def close(self) -> None:
        """Frees the graphics memory."""
        self._stop_drawing()

    def _observe_one(self, state: Tensor) -> Observed:
        return {key: value[0] for key, value in self._observe(state, self._goal).items()}


class GoalVectorEnv(_TaskAdapter, gymnasium.vector.VectorEnv):
    """N copies of the task `name`, stepped together on `num_threads` threads (0: all processors).

    An episode is truncated after `max_episode_steps`. Its end resets the copy in the same step: the observation is then
    the next episode's first, `info["final_obs"][i]` the ended one's last, and `info["final_info"]` is of that step.
    """

    def __init__(
        self,
        name: str,
        *,
        num_envs: int = 1,
        max_episode_steps: int = EPISODE_LENGTH,
        num_threads: int = 0,
        render_mode: str | None = None,
        camera: str = OVERVIEW,
        size: int = 480,
        **hyperparameters: Any,
    ) -> None:
        at_least("max_episode_steps", max_episode_steps, 1)
        spaces = self._make_task({"name": name, **hyperparameters}, render_mode, camera, size)
        self.metadata["autoreset_mode"] = AutoresetMode.SAME_STEP
        inputs = EnvInputs(num_envs=num_envs, episode_length=max_episode_steps, seed=0, num_threads=num_threads)
        self._envs, self.num_envs = TaskVectorEnv(self.task, inputs), num_envs
        self.single_observation_space, self.single_action_space = spaces
        self.observation_space, self.action_space = (batch_space(space, num_envs) for space in spaces)
        self._goal = torch.zeros(num_envs, self.task.spec.goal_dim)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observed, dict]:
        """Draws starts and goals for all copies; `options` has no effect."""
        super().reset(seed=seed)
        first = self._envs.reset(seed=int(self.np_random.integers(_SEEDS)))
        self._goal = first.goal
        return self._observe(first.state, first.goal), {}

    def step(self, actions: np.ndarray) -> tuple[Observed, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advances by one control step with `actions` [N, A]."""
        step = self._envs.step(torch.as_tensor(np.asarray(actions, dtype=np.float32)))
        last = self._observe(step.next_state, self._goal)
        reward = self.compute_reward(last["achieved_goal"], last["desired_goal"], {})
        terminated, truncated = step.terminated.numpy(), step.truncated.numpy()
        done, self._goal = terminated | truncated, step.observation.goal
        info: dict[str, Any] = {"is_success": (reward > 0) & ~done, "_is_success": ~done}
        if done.any():
            final = np.full(self.num_envs, None, dtype=object)
            for i in done.nonzero()[0]:
                final[i] = {key: value[i].copy() for key, value in last.items()}
            info |= {"final_obs": final, "_final_obs": done, "_final_info": done.copy()}
            info["final_info"] = {"is_success": (reward > 0) & done, "_is_success": done.copy()}
        return self._observe(step.observation.state, self._goal), reward, terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Returns each copy's picture [size, size, 3] uint8, or None without a render_mode; errors as `Renderer`."""
        return None if self.render_mode is None else tuple(map(self._draw(self._envs), range(self.num_envs)))

    def close_extras(self, **_: Any) -> None:
        """Frees the graphics memory."""
        self._stop_drawing()
