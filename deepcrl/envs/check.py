"""Checks a task that is not one of ours once, before anything is trained: one reset and one step, in one simulation."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepcrl.envs.physics.engines import make_physics
from deepcrl.envs.task import GoalTask, Start
from deepcrl.envs.usable import first_unusable, is_usable

ATTRIBUTES = ("spec", "state_labels", "action_labels", "success_radius")
OVERVIEW = "overview"
"""The camera that films a run, see `deepcrl.envs.pictures`."""
_TWO = 2
"""Starts that are drawn, so that a shape that ignores `num` shows."""


def is_ours(task: object) -> bool:
    """Whether a task comes with deepcrl, whose tests check it."""
    return type(task).__module__.partition(".")[0] == "deepcrl"


def check_task(task: GoalTask, name: str) -> None:
    """Raises ValueError, which names the task and what of it is wrong, unless `task` does what `GoalTask` asks for."""
    where = f"env={name}: {type(task).__name__}"
    for attribute in ATTRIBUTES:
        if not hasattr(task, attribute):
            raise ValueError(f"{where} has no {attribute}")
    _check_spec(task, where)
    _check_marker(task, where)
    spec, model = task.spec, task.model
    start = task.sample_start(_TWO, torch.Generator().manual_seed(0))
    _check_start(task, start, where)
    physics = make_physics("mujoco", model, _TWO, 1)
    physics.reset(torch.arange(_TWO))
    physics.field("qpos").copy_(start.qpos)
    physics.field("qvel").copy_(start.qvel)
    physics.forward(torch.arange(_TWO))
    state = task.state(physics)
    _check_values(state, (_TWO, spec.state_dim), f"{where}.state", " after a reset")
    control = task.control(physics, torch.zeros(_TWO, spec.action_dim))
    _check_values(control, (_TWO, model.nu), f"{where}.control", " for actions of zeros")
    physics.field("ctrl").copy_(control)
    if physics.step(task.substeps, task.derived).any():
        raise ValueError(f"{where}: its simulation is unstable in the first step after a reset")
    state = task.state(physics)
    _check_values(state, (_TWO, spec.state_dim), f"{where}.state", " after a step")
    _check_values(task.distance(state, start.goal), (_TWO,), f"{where}.distance", "")
    _check_shape(task.terminated(state), (_TWO,), f"{where}.terminated")
    _check_shape(task.moved_goal(state, start.goal), (_TWO, spec.goal_dim), f"{where}.moved_goal")


def check_camera(task: GoalTask, name: str) -> None:
    """Raises ValueError unless the task's model has the camera that films are made by."""
    known = [task.model.camera(i).name for i in range(task.model.ncam)]
    if OVERVIEW not in known:
        has = f"only {', '.join(known)}" if known else "none"
        raise ValueError(
            f"env={name}: the model of {type(task).__name__} has no camera {OVERVIEW!r}, by which video=true films, "
            f"but {has}; add_overview and add_table_cameras of deepcrl.envs.scenes.arena add one, or set video=false"
        )


def _check_spec(task: GoalTask, where: str) -> None:
    spec = task.spec
    for labels, size, what in (
        (task.state_labels, spec.state_dim, "state"),
        (task.action_labels, spec.action_dim, "action"),
    ):
        if len(labels) != size:
            raise ValueError(f"{where}.{what}_labels has {len(labels)} entries, not spec.{what}_dim={size}")
    if not spec.goal_indices or not all(0 <= index < spec.state_dim for index in spec.goal_indices):
        raise ValueError(
            f"{where}.spec.goal_indices={list(spec.goal_indices)} must name entries of the state, 0 to "
            f"{spec.state_dim - 1}"
        )


def _check_marker(task: GoalTask, where: str) -> None:
    name, model = task.goal_marker, task.model
    if name is None:
        return
    bodies = {model.body(i).name: int(model.body_mocapid[i]) for i in range(model.nbody)}
    if bodies.get(name, -1) < 0:
        what = (
            "is no mocap body" if name in bodies else f"is missing; bodies are {', '.join(list(bodies)[1:]) or 'none'}"
        )
        raise ValueError(
            f"{where}.goal_marker={name!r} {what}: add_goal_marker and add_goal_ball of deepcrl.envs.scenes.arena add "
            "one, goal_marker = None shows no goal"
        )
    markers = model.nmocap - bodies[name]
    place = task.marker_position(torch.zeros(_TWO, task.spec.goal_dim))
    if tuple(place.shape) not in ((_TWO, 3), (_TWO, markers, 3)) or (place.ndim == 2 and markers > 1):
        wanted = "[K, 3]" if markers == 1 else f"[K, {markers}, 3]"
        raise ValueError(f"{where}.marker_position returns {_shape(place)} for K={_TWO} goals, not {wanted}")


def _check_start(task: GoalTask, start: Any, where: str) -> None:
    where = f"{where}.sample_start"
    if not isinstance(start, Start):
        raise ValueError(f"{where} returns {type(start).__name__}, not Start")
    model = task.model
    _check_values(start.qpos, (_TWO, model.nq), f"{where}.qpos", f", for the model's nq={model.nq}")
    _check_values(start.qvel, (_TWO, model.nv), f"{where}.qvel", f", for the model's nv={model.nv}")
    _check_values(start.goal, (_TWO, task.spec.goal_dim), f"{where}.goal", "")


def _check_values(values: Any, shape: tuple[int, ...], where: str, when: str) -> None:
    _check_shape(values, shape, where, when)
    rows = values.reshape(len(values), -1)
    if not values.is_floating_point():
        raise ValueError(f"{where} is {values.dtype}, not a tensor of floating point numbers{when}")
    if not is_usable(rows).all():
        row, column = first_unusable(rows)
        raise ValueError(f"{where}: entry {column} is {float(rows[row, column]):g}{when}, which cannot be trained on")


def _check_shape(values: Any, shape: tuple[int, ...], where: str, when: str = "") -> None:
    if not isinstance(values, Tensor) or tuple(values.shape) != shape:
        raise ValueError(f"{where} is {_shape(values)}, not {list(shape)}{when}")


def _shape(values: Any) -> str:
    return f"of shape {list(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
