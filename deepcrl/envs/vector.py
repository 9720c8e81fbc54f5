"""N copies of a GoalTask behind the VectorEnv protocol: same-step reset, trajectory ids, exact checkpoints."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from typing import Any

import mujoco
import torch
from torch import Tensor

from deepcrl.core.states import check_count, check_finite, check_flag, check_tensor
from deepcrl.core.types import EnvError, Observation, Step
from deepcrl.envs.physics.engines import make_physics
from deepcrl.envs.settings import EnvInputs
from deepcrl.envs.task import GoalTask, Start
from deepcrl.envs.usable import first_unusable, is_usable


class TaskVectorEnv:
    """A VectorEnv of `inputs.num_envs` copies of `task`.

    Observed states are consistent right after `reset` and `step`: qpos and qvel never lag, and a task that reads
    derived fields gets them recomputed (`GoalTask.derived`). Returned tensors are never written to again.
    Every random draw comes from the environment's own generator, so the same seed and actions give bit-identical
    results at any thread count.

    A simulation that becomes unstable (an engine error, or numbers that are not usable) does not stop the others: its
    episode is truncated, its `next_state` is the last good state, it is reset, `num_unstable` counts it, and
    `inputs.unstable` dumps it. Replay draws no transition that ends a truncated trajectory: none of it is trained on.
    """

    def __init__(self, task: GoalTask, inputs: EnvInputs) -> None:
        self.task = task
        self.spec = task.spec
        self.num_envs = inputs.num_envs
        self.episode_length = inputs.episode_length
        self.num_unstable = 0
        self.physics = make_physics(inputs.physics, task.model, inputs.num_envs, inputs.num_threads, inputs.device)
        self._fixed = inputs.reset == "fixed"
        self._seed, self._dumps = inputs.seed, inputs.unstable
        self._generator = torch.Generator(self.physics.device).manual_seed(inputs.seed)
        self._qpos, self._qvel = self.physics.field("qpos"), self.physics.field("qvel")
        self._ctrl = self.physics.field("ctrl")
        self._marker = self._marker_view()
        device, num = self.physics.device, inputs.num_envs
        self._all = torch.arange(num, device=device)
        self._steps = torch.zeros(num, dtype=torch.int64, device=device)
        self._traj_id = torch.full((num,), -1, dtype=torch.int64, device=device)
        self._goal = torch.zeros(num, self.spec.goal_dim, device=device)
        self._state = torch.zeros(num, self.spec.state_dim, device=device)
        self._first: Start | None = None
        self._started = False

    def reset(self, seed: int | None = None) -> Observation:
        """Starts a new episode in every environment; with a `seed`, draws from here on as if made with it."""
        if seed is not None:
            self._generator.manual_seed(seed)
            self._first = None
        self._reset_envs(self._all)
        self._started = True
        self._state = self._first_state()
        return Observation(self._state, self._goal)

    def step(self, action: Tensor) -> Step:
        """Advances every environment by one control step; those whose episode ends are reset in the same call.

        Raises ValueError for actions that are not finite or not [N, A], RuntimeError before the first `reset`, EnvError
        for a new episode whose first state or goal cannot be trained on.
        """
        self._check_action(action)
        task, physics, traj_id = self.task, self.physics, self._traj_id
        before, control = physics.get_state(), task.control(physics, action)
        self._ctrl.copy_(control)
        unstable = physics.step(task.substeps, task.derived)
        state = task.state(physics)
        for values in (self._qpos, self._qvel, state):
            unstable |= ~is_usable(values)
        any_unstable = bool(unstable.any())
        if any_unstable:
            state = torch.where(unstable[:, None], self._state, state)
            self._dump_unstable(unstable, physics=before, control=control, action=action)
        goal = task.moved_goal(state, self._goal)
        if goal is not self._goal:
            self._goal = goal
            self._move_markers(self._all, goal)
        distance = task.distance(state, goal)
        terminated = task.terminated(state)
        self._steps += 1
        truncated = self._steps >= self.episode_length
        if any_unstable:
            truncated |= unstable
        truncated &= ~terminated
        next_state = self._state = state
        done = terminated | truncated
        if done.any():
            self._reset_envs(done.nonzero()[:, 0])
            self._state = self._first_state()
        return Step(
            observation=Observation(self._state, self._goal, first=done),
            next_state=next_state,
            distance=distance,
            success=distance < task.success_radius,
            terminated=terminated,
            truncated=truncated,
            traj_id=traj_id,
            success_easy=None if task.success_easy is None else distance < task.success_easy,
            success_hard=None if task.success_hard is None else distance < task.success_hard,
        )

    def data(self, index: int) -> mujoco.MjData:
        """Returns a copy of environment `index` as an MjData of `task.model`, ready to render: goal marker included."""
        return self.physics.data(index)

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything needed to go on exactly; tensors, numbers and None only."""
        first = self._first
        if first is not None:
            first = {"qpos": first.qpos.clone(), "qvel": first.qvel.clone(), "goal": first.goal.clone()}
        return {
            "physics": self.physics.get_state(),
            "state": self._state.clone(),
            "goal": self._goal.clone(),
            "steps": self._steps.clone(),
            "traj_id": self._traj_id.clone(),
            "first": first,
            "generator": self._generator.get_state(),
            "started": self._started,
            "num_unstable": self.num_unstable,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`'s result. Raises ValueError if it is of another task, size or reset policy."""
        mine = self.state_dict()
        if missing := mine.keys() - state.keys():
            raise ValueError(f"environment checkpoint lacks {', '.join(sorted(missing))}")
        for key in ("physics", "state", "goal", "steps", "traj_id"):
            check_finite(f"environment checkpoint: {key}", state[key], mine[key])
        check_count("environment checkpoint: num_unstable", state["num_unstable"])
        check_flag("environment checkpoint: started", state["started"])
        if state["started"] and (state["first"] is not None) != self._fixed:
            raise ValueError("environment checkpoint was saved under the other reset policy (resample or fixed)")
        device = self.physics.device
        self.physics.set_state(state["physics"])
        if self.task.derived:
            self.physics.forward(self._all)
        self._state, self._goal = state["state"].to(device, copy=True), state["goal"].to(device, copy=True)
        self._steps, self._traj_id = state["steps"].to(device, copy=True), state["traj_id"].to(device, copy=True)
        self._first = None if state["first"] is None else self._checked_first(state["first"])
        self._generator.set_state(state["generator"].cpu())
        self._started, self.num_unstable = bool(state["started"]), int(state["num_unstable"])

    def _checked_first(self, first: dict[str, Tensor]) -> Start:
        for name, like in (("qpos", self._qpos), ("qvel", self._qvel), ("goal", self._goal)):
            check_tensor(f"environment checkpoint: first {name}", first[name], like)
        return Start(first["qpos"], first["qvel"], first["goal"])

    def _check_action(self, action: Tensor) -> None:
        if not self._started:
            raise RuntimeError("call reset() before step()")
        if action.shape != (self.num_envs, self.spec.action_dim):
            raise ValueError(
                f"action must have shape ({self.num_envs}, {self.spec.action_dim}), got {tuple(action.shape)}"
            )
        finite = action.isfinite()
        if not finite.all():
            bad = (~finite.all(dim=1)).nonzero()[:, 0].tolist()
            raise ValueError(f"action is not finite in {len(bad)} environments, the first of which is {bad[0]}")

    def _first_state(self) -> Tensor:
        """Returns the state [N, S] after a reset; EnvError if it, or a goal, cannot be trained on."""
        task, state = self.task, self.task.state(self.physics)
        for values, what, places in ((state, "state", None), (self._goal, "goal", self.spec.goal_indices)):
            if not is_usable(values).all():
                row, column = first_unusable(values)
                label = task.state_labels[column if places is None else places[column]]
                raise EnvError(
                    f"{type(task).__name__}: {what}[{column}], {label}, of environment {row} is "
                    f"{values[row, column]:g} after a reset, which cannot be trained on"
                )
        return state

    def _dump_unstable(self, unstable: Tensor, **tensors: Tensor) -> None:
        """Counts and dumps the environments that are `unstable` [N], with their rows of `tensors` [N, ...]."""
        tensors |= {"state": self._state, "goal": self._goal}
        for index in unstable.nonzero()[:, 0].tolist():
            if self._dumps is not None:
                rows = {name: tensor[index] for name, tensor in tensors.items()}
                facts = {"seed": self._seed, "index": index}
                facts |= {"traj_id": int(self._traj_id[index]), "step": int(self._steps[index])}
                self._dumps.write(self.num_unstable, facts, rows)
            self.num_unstable += 1

    def _reset_envs(self, ids: Tensor) -> None:
        """Starts a new episode in environments `ids` [K], ascending."""
        start = self._sample_start(ids)
        self.physics.reset(ids)
        self._qpos.index_copy_(0, ids, start.qpos.to(self._qpos))
        self._qvel.index_copy_(0, ids, start.qvel.to(self._qvel))
        goal = start.goal.to(self._goal)
        # Out of place: observations returned earlier share the old tensor
        self._goal = self._goal.index_copy(0, ids, goal)
        self._traj_id = self._traj_id.index_add(0, ids, torch.ones_like(ids))
        self._steps[ids] = 0
        self._move_markers(ids, goal)
        if self.task.derived:
            self.physics.forward(ids)

    def _move_markers(self, ids: Tensor, goal: Tensor) -> None:
        """Shows goals [K, G] in environments `ids` [K]."""
        if self._marker is not None:
            place = self.task.marker_position(goal).to(self._marker).reshape(len(ids), -1, 3)
            self._marker.index_copy_(0, ids, place)

    def _sample_start(self, ids: Tensor) -> Start:
        if not self._fixed:
            return self.task.sample_start(len(ids), self._generator)
        if self._first is None:
            self._first = self.task.sample_start(self.num_envs, self._generator)
        rows = ids.to(self._first.qpos.device)
        return Start(self._first.qpos[rows], self._first.qvel[rows], self._first.goal[rows])

    def _marker_view(self) -> Tensor | None:
        """The goal markers' live positions, [N, M, 3]."""
        if self.task.goal_marker is None:
            return None
        return self.physics.field("mocap_pos")[:, self.task.model.body(self.task.goal_marker).mocapid[0] :]
