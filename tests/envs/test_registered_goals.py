"""Every registered task: its starts and goals. A new id is tested without a change here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats

from deepcrl.core.components import ENVS
from deepcrl.envs import make_task
from deepcrl.envs.task import GoalTask
from tests.envs.contract import NAMES, random_actions, stated_bounds, vectorize

MAZES = [name for name in NAMES if hasattr(make_task({"name": name}), "maze")]


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def task(name: str) -> GoalTask:
    built = make_task({"name": name})
    assert isinstance(built, GoalTask)
    return built


def test_another_seed_is_another_rollout(name: str, task: GoalTask) -> None:
    one, other = (vectorize(task, num_envs=32, seed=seed).reset() for seed in (1, 2))
    assert not torch.equal(one.state, other.state)
    low, high = stated_bounds(name, task)
    assert torch.equal(one.goal, other.goal) == torch.equal(low, high)


@pytest.mark.parametrize("policy", ["resample", "fixed"])
def test_a_new_episode_starts_by_the_reset_policy(name: str, task: GoalTask, policy: str) -> None:
    envs = vectorize(task, length=3, reset=policy)
    starts = [envs.reset()]
    for action in random_actions(task, 12):
        step = envs.step(action)
        if step.truncated.all():
            starts.append(step.observation)
    starts.append(envs.reset())
    assert len(starts) == 6
    for start in starts[1:]:
        same = (start.state == starts[0].state).all(dim=1)
        assert same.all() if policy == "fixed" else not same.any()
        assert policy != "fixed" or torch.equal(start.goal, starts[0].goal)
    low, high = stated_bounds(name, task)
    if policy == "resample" and not torch.equal(low, high):
        assert len(torch.cat([start.goal for start in starts]).unique(dim=0)) > 1


def test_goals_fill_the_stated_bounds(name: str, task: GoalTask) -> None:
    low, high = stated_bounds(name, task)
    goal = task.sample_start(2000, torch.Generator().manual_seed(0)).goal.double()
    slack = 1e-6 + 1e-6 * torch.maximum(low.abs(), high.abs())
    assert (goal >= low - slack).all()
    assert (goal <= high + slack).all()
    reached = goal.amax(dim=0) - goal.amin(dim=0)
    assert (reached >= 0.9 * (high - low) - slack).all()


def test_goals_do_not_lie_in_a_wall(task: GoalTask) -> None:
    model = task.model
    goal = task.marker_position(task.sample_start(500, torch.Generator().manual_seed(0)).goal).double().view(-1, 3)
    for wall in (model.geom(g) for g in range(model.ngeom) if model.geom(g).name.startswith("wall")):
        inside = ((goal - torch.tensor(wall.pos)).abs() < torch.tensor(wall.size))[:, :2].all(dim=1)
        assert not inside.any()


@pytest.mark.parametrize("name", MAZES)
def test_maze_goals_are_uniform_over_cells_that_can_be_reached(name: str) -> None:
    task: Any = make_task({"name": name})
    maze = task.maze
    start = task.sample_start(2000, torch.Generator().manual_seed(0))
    goals = [tuple(cell) for cell in (start.goal[:, :2].double() / maze.cell_size).tolist()]
    origins = [tuple(cell) for cell in (start.qpos[:, :2] / maze.cell_size).round().long().tolist()]
    steps = {origin: cells_from(maze.rows, origin) for origin in set(origins) | set(maze.cells("B"))}
    assert all(goal in near for near in steps.values() for goal in goals)
    goal_steps = ENVS.defaults(name).get("goal_steps")
    if goal_steps:
        drawn = [steps[origin][goal] for origin, goal in zip(origins, goals, strict=True)]
        assert set(drawn) == set(goal_steps)
        counts = [drawn.count(k) for k in goal_steps]
    else:
        assert set(goals) == set(maze.cells("G"))
        assert set(origins) == set(maze.cells("R"))
        counts = [goals.count(cell) for cell in maze.cells("G")]
    assert len(counts) == 1 or stats.chisquare(counts).pvalue > 1e-4


def cells_from(rows: tuple[str, ...], start: tuple[int, int]) -> dict[tuple[int, int], int]:
    """The free cells that can be walked to from `start`, and how many steps they are away."""
    steps, frontier = {start: 0}, {start}
    while frontier:
        near = {(r + a, c + b) for r, c in frontier for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))}
        frontier = {(r, c) for r, c in near - steps.keys() if rows[r][c] != "#"}
        steps |= dict.fromkeys(frontier, max(steps.values()) + 1)
    return steps


def test_the_state_does_not_depend_on_the_commanded_goal(task: GoalTask) -> None:
    envs, twin = vectorize(task), vectorize(task)
    envs.reset()
    saved = envs.state_dict()
    saved["goal"] = saved["goal"] + 1.5
    twin.load_state_dict(saved)
    twin.physics.field("mocap_pos").add_(1.5)
    for action in random_actions(task, 20):
        a, b = envs.step(action), twin.step(action)
        going_on = ~(a.terminated | a.truncated)
        assert torch.equal(a.next_state, b.next_state)
        assert torch.equal(a.observation.state[going_on], b.observation.state[going_on])
        follows = type(task).moved_goal is not GoalTask.moved_goal
        assert torch.equal(a.distance, b.distance) == follows
