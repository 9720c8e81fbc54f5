"""N copies of a Gymnasium environment behind the VectorEnv protocol, stepped by Gymnasium's own vector environments."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium import logger
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from torch import Tensor

from deepcrl.core.states import check_count, check_finite, check_flag, check_range, check_tensor
from deepcrl.core.types import EnvError, Observation, Step
from deepcrl.envs.gymnasium.single import GOAL_KEYS, NEXT_GOAL, in_one_line, make_one
from deepcrl.envs.gymnasium.task import GymnasiumTask
from deepcrl.envs.settings import EnvInputs
from deepcrl.envs.usable import first_unusable, is_usable

_VECTOR = {"sync": SyncVectorEnv, "async": AsyncVectorEnv}
_MAX_SEED = 2**31 - 1


class GymnasiumVectorEnv:
    """A VectorEnv of `inputs.num_envs` copies of `task`, on the CPU; `inputs.num_threads` has no effect.

    Each episode begins with a seed that is drawn from this environment's generator and handed to Gymnasium's `reset`,
    so the same seed and actions give the same rollout, and `fixed` is the first seed over and over: the same start and
    goal, as long as the environment draws nothing but from its seeded generator.

    Gymnasium environments cannot be saved. A checkpoint holds the seed and the actions of each unfinished episode, and
    loading it takes those steps again: exact for every environment that its seed and actions decide. Where the state
    that comes out is not bit for bit the saved one, a warning says so and that episode ends at its next step.

    A state that cannot be trained on (not finite, or huge) ends its episode as in TaskVectorEnv, `num_unstable` counts
    it, and a warning names the first. EnvError is raised where there is no good state to go on from: after a reset, and
    after the first step of an episode; for a goal that cannot be trained on; and where the environment raises.
    """

    def __init__(self, task: GymnasiumTask, inputs: EnvInputs) -> None:
        if inputs.physics != "mujoco":
            raise ValueError(f"physics={inputs.physics}: env=gymnasium brings its own physics; leave physics=mujoco")
        self.task, self.spec = task, task.spec
        self.num_envs = inputs.num_envs
        self.episode_length = inputs.episode_length
        self.num_unstable = 0
        make = partial(make_one, task.id, task.kwargs)
        # No autoreset: we choose the seed of each reset, and `step` returns the final observation
        self._envs = _VECTOR[task.vectorization]([make] * self.num_envs, autoreset_mode=AutoresetMode.DISABLED)
        self._fixed = inputs.reset == "fixed"
        self._generator = torch.Generator().manual_seed(inputs.seed)
        self._goal_low, self._goal_high = torch.tensor(task.goal_low), torch.tensor(task.goal_high)
        num = self.num_envs
        self._seeds = torch.zeros(num, dtype=torch.int64)
        self._steps = torch.zeros(num, dtype=torch.int64)
        self._traj_id = torch.full((num,), -1, dtype=torch.int64)
        self._actions = torch.zeros(self.episode_length, num, self.spec.action_dim)
        self._state = torch.zeros(num, self.spec.state_dim)
        self._goal = torch.zeros(num, self.spec.goal_dim)
        self._speaks_of_goal = torch.ones(num, dtype=torch.bool)
        """[N] whether the environment pursues the goal that is commanded."""
        self._started = self._warned = False

    def reset(self) -> Observation:
        """Starts a new episode in every environment."""
        return self._reset_envs(torch.ones(self.num_envs, dtype=torch.bool))

    def step(self, action: Tensor) -> Step:
        """Advances every environment by one step; those whose episode ends are reset in the same call.

        Raises ValueError for actions that are not finite or not [N, A], RuntimeError before `reset`, EnvError as above.
        """
        self._check_action(action)
        traj_id = self._traj_id
        self._actions[self._steps, torch.arange(self.num_envs)] = action
        seen, _, ended, cut, info = self._call("step", self.task.to_action_space(action))
        state = self._state_of(seen)
        unstable = ~is_usable(state)
        if unstable.any():
            self._note_unstable(state, unstable)
            state = torch.where(unstable[:, None], self._state, state)
        goal = torch.where(unstable[:, None], self._goal, self._goal_after(seen, info))
        next_goal = self._goal_in(info, NEXT_GOAL, goal) if self.task.observes_goals else goal
        self._check_goals(next_goal)
        self._steps = self._steps + 1
        word = self._word(info)
        ended = torch.as_tensor(ended, dtype=torch.bool)
        terminated = ended & ~unstable
        if not self.task.has_own_goals:  # then a success ends the pursuit of another goal than ours
            terminated &= ~word
        truncated = torch.as_tensor(cut, dtype=torch.bool) | (self._steps >= self.episode_length) | unstable | ended
        truncated &= ~terminated
        distance = self.task.distance(state, goal)
        radius = self.task.success_radius
        success = word & self._speaks_of_goal if radius is None else distance < radius
        self._speaks_of_goal = torch.ones_like(unstable)
        self._state, self._goal = state, next_goal
        done = terminated | truncated
        if done.any():
            self._reset_envs(done)
        observation = Observation(self._state, self._goal, first=done)
        return Step(observation, state, distance, success & ~unstable, terminated, truncated, traj_id)

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything needed to go on; tensors and numbers only."""
        return {
            "state": self._state.clone(),
            "goal": self._goal.clone(),
            "seeds": self._seeds.clone(),
            "steps": self._steps.clone(),
            "actions": self._actions[: int(self._steps.max())].clone(),
            "traj_id": self._traj_id.clone(),
            "generator": self._generator.get_state(),
            "fixed": self._fixed,
            "started": self._started,
            "num_unstable": self.num_unstable,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`'s result by taking the steps of unfinished episodes again; see the class.

        Raises ValueError if it is of another task, size or reset policy.
        """
        mine = self.state_dict()
        if missing := mine.keys() - state.keys():
            raise ValueError(f"environment checkpoint lacks {', '.join(sorted(missing))}")
        for key in ("state", "goal", "seeds", "steps", "traj_id"):
            check_finite(f"environment checkpoint: {key}", state[key], mine[key])
        check_range("environment checkpoint: steps", state["steps"], 0, self.episode_length)
        longest = int(state["steps"].max())
        check_tensor("environment checkpoint: actions", state["actions"], self._actions[:longest])
        check_count("environment checkpoint: num_unstable", state["num_unstable"])
        check_flag("environment checkpoint: started", state["started"])
        if state["fixed"] != self._fixed:
            raise ValueError("environment checkpoint was saved under the other reset policy (resample or fixed)")
        for key in ("state", "goal", "seeds", "steps", "traj_id"):
            setattr(self, f"_{key}", state[key].clone())
        self._actions[: len(state["actions"])] = state["actions"]
        self._generator.set_state(state["generator"].cpu())
        self._started, self.num_unstable = bool(state["started"]), int(state["num_unstable"])
        if self._started:
            self._replay()

    def make_renderable(self) -> None:
        """Puts copies that can be drawn, in this process, in the place of the others: `reset` before the next step."""
        make = partial(make_one, self.task.id, {**self.task.kwargs, "render_mode": "rgb_array"})
        drawn = SyncVectorEnv([make] * self.num_envs, autoreset_mode=AutoresetMode.DISABLED)
        self.close()
        self._envs, self._started = drawn, False

    def render(self, index: int) -> np.ndarray:
        """Returns the picture that environment `index` draws of itself, [H, W, 3] uint8, after `make_renderable`.

        Raises RuntimeError if it cannot be drawn here.
        """
        assert isinstance(self._envs, SyncVectorEnv)
        try:
            picture = np.asarray(self._envs.envs[index].render())
        except Exception as error:  # other people's environments raise anything
            raise RuntimeError(f"Cannot render env.id={self.task.id}: {in_one_line(error)}") from error
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            got = "None" if picture.dtype == object else f"{picture.dtype} of shape {picture.shape}"
            raise RuntimeError(f"Cannot render env.id={self.task.id}: render() returned {got}, not uint8 [H, W, 3]")
        return picture

    def close(self) -> None:
        """Ends the processes of `async`."""
        self._envs.close()

    def _replay(self) -> None:
        """Takes the steps of each unfinished episode again; they are aligned at their last."""
        longest, row = int(self._steps.max()), torch.arange(self.num_envs)
        seen = None
        done = torch.ones(self.num_envs, dtype=torch.bool)  # at first all: Gymnasium steps none before each was reset
        for now in range(longest + 1):
            place = now - (longest - self._steps)
            if (begin := (place == 0) | done).any():
                seen, _ = self._reset(begin)
            if now < longest:
                action = torch.where(place[:, None] >= 0, self._actions[place.clamp(min=0), row], 0)
                seen, _, ended, cut, _ = self._call("step", self.task.to_action_space(action))
                done = torch.as_tensor(ended | cut, dtype=torch.bool)
        differs = (self._state_of(seen) != self._state).any(dim=1)
        self._speaks_of_goal = ~differs  # where it differs it may have drawn another goal as well
        if differs.any():
            warnings.warn(
                f"env.id={self.task.id}: seed and actions do not decide the state of {int(differs.sum())} of "
                f"{self.num_envs} environments; their episodes end at the next step",
                stacklevel=3,
            )
            self._steps[differs] = self.episode_length - 1

    def _check_action(self, action: Tensor) -> None:
        if not self._started:
            raise RuntimeError("call reset() before step()")
        if action.shape != (self.num_envs, self.spec.action_dim):
            raise ValueError(
                f"action must have shape ({self.num_envs}, {self.spec.action_dim}), got {tuple(action.shape)}"
            )
        if not action.isfinite().all():
            raise ValueError("action is not finite")

    def _state_of(self, seen: Any) -> Tensor:
        parts = [seen[key] for key in GOAL_KEYS[:2]] if self.task.observes_goals else [seen]
        return torch.from_numpy(np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind"))

    def _goal_after(self, seen: Any, info: dict[str, Any]) -> Tensor:
        """The goals [N, G] that the environments pursued in a step: the commanded ones, unless they moved them."""
        if self.task.observes_goals:
            return torch.from_numpy(np.array(seen[GOAL_KEYS[2]], dtype=np.float32))
        return self._goal if self.task.goal_key is None else self._goal_in(info, self.task.goal_key)

    def _goal_in(self, info: dict[str, Any], key: str, otherwise: Tensor | None = None) -> Tensor:
        """Returns the goals [N, G] of `info[key]`; those that it lacks are `otherwise`, by default the present ones."""
        goal = self._goal if otherwise is None else otherwise
        given = info.get(f"_{key}", np.zeros(self.num_envs, dtype=bool))
        if not given.any():
            return goal
        goal = goal.clone()
        for index in given.nonzero()[0]:
            goal[index] = torch.from_numpy(self.task.goal_of(info[key][index]))
        return goal

    def _goal_of_reset(self, seen: Any, info: dict[str, Any], which: Tensor, drawn: Tensor) -> Tensor:
        """The goals [N, G] after a reset of `which` [N]: the environments' own, or new ones from the box if `drawn`."""
        key = self.task.goal_key
        if key is not None and (which.numpy() & ~info.get(f"_{key}", np.zeros(self.num_envs, dtype=bool))).any():
            raise EnvError(f"env.id={self.task.id}: the info of a reset has no {key!r}, where env.goal_from says it is")
        if self.task.has_own_goals:
            return torch.where(which[:, None], self._goal_after(seen, info), self._goal)
        if not drawn.any():
            return self._goal
        uniform = torch.rand(int(drawn.sum()), self.spec.goal_dim, generator=self._generator)
        goal = self._goal.clone()
        goal[drawn] = self._goal_low + (self._goal_high - self._goal_low) * uniform
        return goal

    def _word(self, info: dict[str, Any]) -> Tensor:
        """Which environments say that they succeeded, at the goals that they know of, [N] bool."""
        key = self.task.facts.success_key
        if key is None or key not in info:
            return torch.zeros(self.num_envs, dtype=torch.bool)
        return torch.from_numpy(np.asarray(info[key]).astype(bool) & info[f"_{key}"])

    def _reset_envs(self, which: Tensor) -> Observation:
        """Starts a new episode in the environments `which` [N] bool."""
        draw = which & torch.tensor(not (self._fixed and self._started))
        if draw.any():
            self._seeds = self._seeds.clone()
            self._seeds[draw] = torch.randint(_MAX_SEED, (int(draw.sum()),), generator=self._generator)
        seen, info = self._reset(which)
        self._state = torch.where(which[:, None], self._state_of(seen), self._state)
        if not is_usable(self._state).all():
            raise EnvError(f"{self._entry(self._state, self.task.state_field)} after a reset")
        self._goal = self._goal_of_reset(seen, info, which, draw)
        self._check_goals(self._goal)
        self._traj_id = self._traj_id + which
        self._steps = torch.where(which, 0, self._steps)
        self._started = True
        return Observation(self._state, self._goal)

    def _reset(self, which: Tensor) -> tuple[Any, dict[str, Any]]:
        return self._call("reset", seed=self._seeds.tolist(), options={"reset_mask": which.numpy()})

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        level = logger.min_level
        if isinstance(self._envs, AsyncVectorEnv):  # it would log the tracebacks of its processes
            logger.min_level = logger.ERROR + 1
        try:
            return getattr(self._envs, method)(*args, **kwargs)
        except Exception as error:  # other people's environments raise anything
            what = f"{type(error).__name__}: {in_one_line(error)}"
            raise EnvError(f"env.id={self.task.id} raised in {method}: {what}") from error
        finally:
            logger.min_level = level

    def _note_unstable(self, state: Tensor, unstable: Tensor) -> None:
        """Counts environments whose new state cannot be trained on, and warns of the first."""
        hopeless = unstable & (self._steps == 0)
        if hopeless.any():
            rows = torch.where(hopeless[:, None], state, 0)
            raise EnvError(f"{self._entry(rows, self.task.state_field)} after the first step of an episode")
        self.num_unstable += int(unstable.sum())
        if not self._warned:
            self._warned = True
            what = self._entry(state, self.task.state_field)
            warnings.warn(f"{what}; such episodes end there, and env/unstable counts them", stacklevel=3)

    def _check_goals(self, goal: Tensor) -> None:
        if not is_usable(goal).all():
            raise EnvError(self._entry(goal, lambda index: f"{self.task.goal_field}[{index}]"))

    def _entry(self, values: Tensor, name: Callable[[int], str]) -> str:
        """Says which entry of `values` [N, D] cannot be trained on."""
        row, column = first_unusable(values)
        value = f"{values[row, column]:g}"
        return f"env.id={self.task.id}: {name(column)} of environment {row} is {value}, which cannot be trained on"
