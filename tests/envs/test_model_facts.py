"""Model facts: what every robot has to weigh and to move, against the reference repositories' files.

Numbers are those of scaling-crl's and JaxGCRL's models, without the goal marker's mass and dofs. Where ours differ on
purpose, the difference is a row of the tables of docs/environments*.md, with the same numbers.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepcrl.envs import make_task
from deepcrl.envs.scenes.arena import ROBOT
from deepcrl.envs.task import GoalTask

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Fact:
    """What a task's model measures, in the reference and, where that is another number, here."""

    task: str
    what: str
    source: Any
    here: Any = None
    row: str = ""
    """`task | what` of the documented difference."""
    hyperparameters: tuple[tuple[str, Any], ...] = ()


def _masses(task: GoalTask) -> list[float]:
    return [body.mass[0] for body in _bodies(task) if body.name.startswith(ROBOT)]


def _bodies(task: GoalTask) -> list[Any]:
    return [task.model.body(i) for i in range(1, task.model.nbody)]


def _joints(task: GoalTask) -> np.ndarray:
    """Which dofs are hinges or slides of the robot."""
    model = task.model
    return np.array([model.jnt_dofadr[j] for j in range(model.njnt) if _is_robots(model, j)])


def _is_robots(model: Any, joint: int) -> bool:
    return model.joint(joint).name.startswith(ROBOT) and model.jnt_type[joint] >= 2


def _start_height(task: GoalTask) -> float:
    heights = task.sample_start(1000, torch.Generator().manual_seed(0)).qpos[:, 2]
    return round(float(heights.mean()), 2)


MEASURES: dict[str, Callable[[GoalTask], Any]] = {
    "robot mass (kg)": lambda task: sum(_masses(task)),
    "link masses (kg)": _masses,
    "object mass (kg)": lambda task: sum(body.mass[0] for body in _bodies(task) if not body.name.startswith(ROBOT)),
    "positions": lambda task: task.model.nq,
    "dofs": lambda task: task.model.nv,
    "armature": lambda task: sorted({*task.model.dof_armature[_joints(task)]}),
    "damping": lambda task: sorted({*task.model.dof_damping[_joints(task)]}),
    "joint ranges (degrees)": lambda task: np.rad2deg(task.model.jnt_range[task.model.jnt_limited == 1]).ravel(),
    "full action (N m or N)": lambda task: task.model.actuator_gear[:, 0] * task.model.actuator_ctrlrange[:, 1],
    "control ranges": lambda task: np.unique(task.model.actuator_ctrlrange),
    "control step (s)": lambda task: task.ctrl_dt,
    "state entries": lambda task: task.spec.state_dim,
    "goal indices": lambda task: task.spec.goal_indices,
    "action entries": lambda task: task.spec.action_dim,
    "start height (m)": _start_height,
}
LIGHT = (("density", 5.0),)
ANT = [
    Fact("ant", "robot mass (kg)", 0.911, hyperparameters=LIGHT),
    Fact("ant", "robot mass (kg)", 0.911, here=7.29, row="ant | weight"),
    Fact("ant", "link masses (kg)", [0.4839, *[0.0392, 0.0676] * 4], hyperparameters=LIGHT),
    Fact("ant", "positions", 15),
    Fact("ant", "dofs", 14),
    Fact("ant", "armature", [1]),
    Fact("ant", "damping", [1]),
    Fact("ant", "joint ranges (degrees)", [-30, 30, 30, 70, -30, 30, -70, -30, -30, 30, -70, -30, -30, 30, 30, 70]),
    Fact("ant", "full action (N m or N)", [150] * 8),
    Fact("ant", "control ranges", [-1, 1]),
    Fact("ant", "control step (s)", 0.05),
    Fact("ant", "state entries", 29),
    Fact("ant", "goal indices", [0, 1]),
    Fact("ant", "action entries", 8),
    Fact("ant", "start height (m)", 0.55, here=0.75, row="ant | start height"),
    Fact("ant_u_maze", "state entries", 29),
    Fact("ant_u_maze", "control step (s)", 0.05),
]
ANT_WITH_OBJECT = [
    Fact("ant_push", "robot mass (kg)", 7.29),
    Fact("ant_push", "object mass (kg)", 0.0002, here=1, row="ant_push | block"),
    Fact("ant_push", "dofs", 17, here=16, row="ant_push | block"),
    Fact("ant_push", "full action (N m or N)", [150] * 8),
    Fact("ant_push", "control step (s)", 0.05),
    Fact("ant_push", "state entries", 31),
    Fact("ant_push", "goal indices", [0, 1]),
    Fact("ant_push", "start height (m)", 0.75),
    Fact("ant_ball", "object mass (kg)", 0.576, here=1, row="ant_ball | ball"),
    Fact("ant_ball", "positions", 17),
    Fact("ant_ball", "dofs", 16),
    Fact("ant_ball", "full action (N m or N)", [150] * 8),
    Fact("ant_ball", "control step (s)", 0.05),
    Fact("ant_ball", "state entries", 31),
    Fact("ant_ball", "goal indices", [28, 29], here=[29, 30], row="ant_ball and mazes | goal indices"),
]
HALF_CHEETAH = [
    Fact("half_cheetah", "robot mass (kg)", 13.37, here=14, row="half_cheetah | weight"),
    Fact("half_cheetah", "positions", 9),
    Fact("half_cheetah", "dofs", 9),
    Fact("half_cheetah", "full action (N m or N)", [120, 90, 60, 120, 60, 30]),
    Fact("half_cheetah", "control ranges", [-1, 1]),
    Fact("half_cheetah", "control step (s)", 0.05),
    Fact("half_cheetah", "state entries", 18),
    Fact("half_cheetah", "goal indices", [0]),
    Fact("half_cheetah", "action entries", 6),
]
TRUNK_AND_LEGS, ARMS = [40, 40, 40, *[40, 40, 120, 80] * 2], [10] * 6
HUMANOID_LINKS = [8.907, 2.262, 6.616, *[4.752, 4.523] * 2, *[1.661, 1.230] * 2]
HUMANOID = [
    Fact("humanoid", "robot mass (kg)", 42.1),
    Fact("humanoid", "link masses (kg)", HUMANOID_LINKS),
    Fact("humanoid", "positions", 24),
    Fact("humanoid", "dofs", 23),
    Fact(
        "humanoid",
        "full action (N m or N)",
        [140] * 11 + [40] * 6,
        here=TRUNK_AND_LEGS + ARMS,
        row="humanoid | motors",
    ),
    Fact("humanoid", "control ranges", [-0.4, 0.4], here=[-1, 1], row="humanoid | motors"),
    Fact("humanoid", "control step (s)", 0.03, here=0.015, row="humanoid | control step"),
    Fact("humanoid_u_maze", "control step (s)", 0.015),
    Fact("humanoid", "state entries", 268, here=240, row="humanoid | state"),
    Fact("humanoid", "goal indices", [0, 1, 2]),
    Fact("humanoid", "action entries", 17),
    Fact("humanoid", "start height (m)", 1.4),
]
REACHER = [
    Fact("reacher", "positions", 2),
    Fact("reacher", "link masses (kg)", [0.0356, 0.0356, 0.00419]),
    Fact("reacher", "armature", [1]),
    Fact("reacher", "damping", [1]),
    Fact("reacher", "joint ranges (degrees)", np.rad2deg([-3, 3])),
    Fact("reacher", "full action (N m or N)", [25, 25], here=[200, 200], row="`reacher` | gear"),
    Fact("reacher", "control ranges", [-1, 1]),
    Fact("reacher", "control step (s)", 0.04, here=0.02, row="`reacher` | control step"),
    Fact("reacher", "state entries", 10),
    Fact("reacher", "goal indices", [4, 5, 6]),
    Fact("reacher", "action entries", 2),
]
POINT = [
    Fact("point_u_maze", "robot mass (kg)", 1),
    Fact("point_u_maze", "positions", 2),
    Fact("point_u_maze", "armature", [1], here=[0], row="point | inertia"),
    Fact("point_u_maze", "damping", [0]),
    Fact("point_u_maze", "joint ranges (degrees)", []),
    Fact("point_u_maze", "full action (N m or N)", [5, 5]),
    Fact("point_u_maze", "control ranges", [-1, 1]),
    Fact("point_u_maze", "control step (s)", 0.05),
    Fact("point_u_maze", "state entries", 4),
    Fact("point_u_maze", "goal indices", [0, 1]),
    Fact("point_u_maze", "action entries", 2),
]
FACTS = ANT + ANT_WITH_OBJECT + HALF_CHEETAH + HUMANOID + REACHER + POINT
TASKS: dict[tuple[Any, ...], GoalTask] = {}


def _task(fact: Fact) -> GoalTask:
    """Built and compiled once."""
    key = (fact.task, fact.hyperparameters)
    if key not in TASKS:
        task = make_task({"name": fact.task, **dict(fact.hyperparameters)})
        assert isinstance(task, GoalTask)
        TASKS[key] = task
    return TASKS[key]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.task}-{fact.what}")
def test_the_model_measures_what_it_should(fact: Fact) -> None:
    measured = MEASURES[fact.what](_task(fact))
    expected = fact.source if fact.here is None else fact.here
    np.testing.assert_allclose(measured, expected, rtol=2e-3, atol=1e-9)  # the sources' tables have three digits


def _documented() -> dict[str, tuple[str, str]]:
    """The cells `S and J` and `here` of each row of the documents' tables, by `task | what`."""
    rows = {}
    for path in DOCS.glob("environments*.md"):
        for line in path.read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if len(cells) == 5:
                rows[f"{cells[0]} | {cells[1]}"] = (cells[2], cells[3])
    return rows


@pytest.mark.parametrize("fact", [fact for fact in FACTS if fact.here is not None], ids=lambda fact: fact.row)
def test_a_difference_is_documented_with_both_numbers(fact: Fact) -> None:
    for cell, value in zip(_documented()[fact.row], (fact.source, fact.here), strict=True):
        numbers = {f"{abs(number):g}" for number in np.ravel(value)}
        assert numbers <= set(re.findall(r"\d+(?:\.\d+)?", cell)), f"{fact.row}: {numbers} are not all in {cell!r}"
