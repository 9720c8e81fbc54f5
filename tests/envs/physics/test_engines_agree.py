"""MuJoCo Warp, on its CPU device, against MuJoCo: the same states and actions, one task of every class.

Contacts are chaotic, so float32 does not follow float64 for long: single steps are compared, each from MuJoCo's state,
and where 50 steps end. docs/environments.md says where the engines differ by more than rounding.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import mujoco
import pytest
import torch
from torch import Tensor

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task
from deepcrl.envs.physics import Physics
from deepcrl.envs.physics.engines import make_physics
from deepcrl.envs.physics.sizing import bounds
from deepcrl.envs.task import GoalTask

discover()


FAST = "ant"
"""The one task compared without the marker `slow`: compiling the kernels of the others takes a minute or more."""
STEPS = 50
STEP_TOLERANCE = 1e-4
"""Of one control step, relative to 1 + the largest value of the entry of the state. Measured: below 2e-5."""
AGREEING_STEPS = {"ant": 0.6, "arm": 0.85, "humanoid": 0.85}
"""Share of control steps within STEP_TOLERANCE with the options that tasks have; 0.99 where none is given."""
AGREEING_STEPS_OF_BOXES = 0.85
"""The same where both engines solve the same problem, but boxes may touch boxes."""
CALM = ("reacher", "point")
"""Robots whose trajectories float32 can follow: little amplifies a rounding error."""
TRAJECTORY_TOLERANCE = 1e-3
"""Of their states after 50 steps, where a point may have bounced off walls. Measured: below 2e-4."""
BIAS = 6.0
"""Standard errors. The other trajectories part, but not in one direction. Measured: below 3."""


def one_of_each_class() -> list[Any]:
    names: dict[type, str] = {}
    for name in ENVS:
        task = make_task({"name": name})
        if isinstance(task, GoalTask):
            names.setdefault(type(task), name)
    assert FAST in names.values()
    return [name if name == FAST else pytest.param(name, marks=pytest.mark.slow) for name in names.values()]


each_class = pytest.mark.parametrize("name", one_of_each_class())


def same_starts(task: GoalTask, model: mujoco.MjModel, num: int) -> tuple[Physics, Physics]:
    """Returns `num` simulations on MuJoCo and on MuJoCo Warp, in the same drawn states."""
    start = task.sample_start(num, torch.Generator().manual_seed(0))
    mj = make_physics("mujoco", model, num, 1)
    mj.field("qpos").copy_(start.qpos)
    mj.field("qvel").copy_(start.qvel)
    warp = make_physics("mujoco_warp", model, num, 1)
    warp.set_state(mj.get_state())
    return mj, warp


def actions(task: GoalTask, num: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        yield 2 * torch.rand(num, task.spec.action_dim, generator=generator) - 1


def act(task: GoalTask, physics: Physics, action: Tensor) -> Tensor:
    """Takes a control step; returns the observed state."""
    physics.field("ctrl").copy_(task.control(physics, action))
    assert not physics.step(task.substeps, task.derived).any()
    return task.state(physics)


def comparable(model: mujoco.MjModel) -> mujoco.MjModel:
    """Returns the model without the two options by which engines may differ: both then solve the same problem."""
    model = copy.copy(model)
    model.opt.iterations, model.opt.ls_iterations = 100, 50
    model.opt.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    return model


def relative(errors: Tensor, states: Tensor) -> Tensor:
    """Returns each state's largest error, relative to 1 + the largest value of its entry; both [STEPS, N, S]."""
    return (errors.abs() / (1 + states.abs().amax(dim=(0, 1)))).amax(dim=2)


@each_class
def test_every_step_agrees_with_mujoco(name: str) -> None:
    """Where both solve the same problem, every control step does, unless they find other contacts between boxes."""
    task = make_task({"name": name})
    assert isinstance(task, GoalTask)
    mj, warp = same_starts(task, comparable(task.model), 8)
    expected, errors = [], []
    for action in actions(task, 8):
        warp.set_state(mj.get_state())
        expected.append(act(task, mj, action))
        errors.append(act(task, warp, action) - expected[-1])
    agreeing = relative(torch.stack(errors), torch.stack(expected)) < STEP_TOLERANCE
    assert agreeing.float().mean() >= (AGREEING_STEPS_OF_BOXES if bounds(task.model).searched_pairs else 1)


@each_class
def test_states_after_50_steps_agree_with_mujoco(name: str) -> None:
    """With the options that the task has: most single steps agree, and 50 in a row end alike."""
    task, num = make_task({"name": name}), 32
    assert isinstance(task, GoalTask)
    mj, resynchronised = same_starts(task, task.model, num)
    free = same_starts(task, task.model, num)[1]
    expected, errors, parted = [], [], torch.empty(0)
    for action in actions(task, num):
        resynchronised.set_state(mj.get_state())
        expected.append(act(task, mj, action))
        errors.append(act(task, resynchronised, action) - expected[-1])
        parted = act(task, free, action) - expected[-1]
    states, robot = torch.stack(expected), name.partition("_")[0]
    agreeing = relative(torch.stack(errors), states) < STEP_TOLERANCE
    assert agreeing.float().mean() >= AGREEING_STEPS.get(robot, 0.99)
    if robot in CALM:
        assert relative(parted[None], states).max() < TRAJECTORY_TOLERANCE
    bias = parted.mean(dim=0).abs() / (parted.std(dim=0) / num**0.5 + 1e-5)
    assert bias.max() < BIAS
