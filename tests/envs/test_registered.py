"""The contract: what every registered task must hold. A new id is tested without a change here.

All tests of an id share its compiled model and one recorded rollout.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import mujoco
import pytest
import torch
from scipy import stats
from torch import Tensor

from deepcrl.core.components import ENVS, discover
from deepcrl.core.types import Observation, Step
from deepcrl.envs import EnvInputs, make_task
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv

discover()
NAMES = [name for name in ENVS if isinstance(make_task({"name": name}), GoalTask)]
MAZES = [name for name in NAMES if hasattr(make_task({"name": name}), "maze")]
N, LENGTH, STEPS = 4, 40, 200
"""Environments, steps of an episode, steps of the recorded rollout."""
CTRL_DT = {"humanoid": 0.015, "reacher": 0.02}
"""Seconds, where they are not 0.05."""


def vectorize(
    task: GoalTask, num_envs: int = N, length: int = LENGTH, threads: int = 1, seed: int = 3, reset: str = "resample"
) -> TaskVectorEnv:
    inputs = EnvInputs(num_envs=num_envs, episode_length=length, num_threads=threads, seed=seed, reset=reset)
    return TaskVectorEnv(task, inputs)


def random_actions(task: GoalTask, steps: int, num_envs: int = N) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return 2 * torch.rand(steps, num_envs, task.spec.action_dim, generator=generator) - 1


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def task(name: str) -> GoalTask:
    built = make_task({"name": name})
    assert isinstance(built, GoalTask)
    return built


@dataclass(frozen=True)
class Rollout:
    envs: TaskVectorEnv
    first: Observation
    steps: list[Step]

    def goals(self) -> list[Tensor]:
        """The commanded goal [N, G] of each step."""
        return [self.first.goal, *(step.observation.goal for step in self.steps[:-1])]


@pytest.fixture(scope="module")
def rollout(task: GoalTask) -> Rollout:
    envs = vectorize(task)
    return Rollout(envs, envs.reset(), [envs.step(action) for action in random_actions(task, STEPS)])


def test_sizes_and_types(task: GoalTask, rollout: Rollout) -> None:
    spec, step = task.spec, rollout.steps[0]
    assert rollout.first.state.shape == step.next_state.shape == (N, spec.state_dim)
    assert rollout.first.goal.shape == step.observation.goal.shape == (N, spec.goal_dim)
    assert rollout.first.state.dtype == rollout.first.goal.dtype == step.distance.dtype == torch.float32
    assert step.success.dtype == step.terminated.dtype == step.truncated.dtype == torch.bool
    assert step.traj_id.dtype == torch.int64
    for field in (step.distance, step.success, step.terminated, step.truncated, step.traj_id):
        assert field.shape == (N,)
    assert max(spec.goal_indices) < spec.state_dim
    assert rollout.envs.physics.field("ctrl").shape == (N, task.model.nu)


def test_every_entry_of_state_goal_and_action_has_a_label(task: GoalTask) -> None:
    labels = {task.spec.state_dim: task.state_labels, task.spec.action_dim: task.action_labels}
    for size, words in labels.items():
        assert len(words) == len(set(words)) == size
    assert task.goal_labels == tuple(task.state_labels[i] for i in task.spec.goal_indices)


def test_200_random_steps_are_finite(rollout: Rollout) -> None:
    for step in rollout.steps:
        for value in (step.next_state, step.observation.state, step.observation.goal, step.distance):
            assert value.isfinite().all()
    assert rollout.envs.num_unstable == 0


def test_same_seed_same_rollout_at_two_threads(task: GoalTask, rollout: Rollout, assert_same) -> None:
    twin = vectorize(task, threads=2)
    first = twin.reset()
    assert torch.equal(first.state, rollout.first.state)
    assert torch.equal(first.goal, rollout.first.goal)
    for action, step in zip(random_actions(task, 100), rollout.steps, strict=False):
        assert_same(twin.step(action), step)


def test_another_seed_is_another_rollout(name: str, task: GoalTask) -> None:
    one, other = (vectorize(task, num_envs=32, seed=seed).reset() for seed in (1, 2))
    assert not torch.equal(one.state, other.state)
    low, high = stated_bounds(name, task)
    assert torch.equal(one.goal, other.goal) == torch.equal(low, high)


def test_episodes_end_by_the_task_or_by_time(task: GoalTask, rollout: Rollout) -> None:
    age, traj_id = torch.zeros(N, dtype=torch.int64), torch.zeros(N, dtype=torch.int64)
    for step in rollout.steps:
        age += 1
        assert torch.equal(step.terminated, task.terminated(step.next_state))
        assert torch.equal(step.truncated, (age == LENGTH) & ~step.terminated)
        assert torch.equal(step.traj_id, traj_id)
        ended = step.terminated | step.truncated
        age[ended] = 0
        traj_id += ended
    assert (traj_id >= STEPS // LENGTH).all()


def test_the_final_state_is_returned_at_a_reset(task: GoalTask) -> None:
    """Beside environments that go on, those with short episodes return the same states and start anew."""
    short, long = vectorize(task, length=6), vectorize(task, length=1000)
    assert torch.equal(short.reset().state, long.reset().state)
    steps = [(short.step(action), long.step(action)) for action in 0.3 * random_actions(task, 6)]
    for number, (a, b) in enumerate(steps, start=1):
        assert torch.equal(a.next_state, b.next_state)
        assert not b.terminated.any()
        assert torch.equal(a.truncated, torch.full((N,), number == 6))
        restarted = (a.observation.state != a.next_state).any(dim=1)
        assert restarted.all() if number == 6 else not restarted.any()


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


def stated_bounds(name: str, task: GoalTask) -> Tensor:
    bounds = task.goal_bounds()
    assert bounds is not None, f"{name} does not state its goal_bounds"
    assert bounds.shape == (2, task.spec.goal_dim)
    return bounds


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


def test_distance_and_success_speak_of_the_state_after_the_step(task: GoalTask, rollout: Rollout) -> None:
    assert task.euclidean == (type(task).distance is GoalTask.distance)
    for step, goal in zip(rollout.steps, rollout.goals(), strict=True):
        goal = task.moved_goal(step.next_state, goal)
        assert torch.equal(step.distance, task.distance(step.next_state, goal))
        if task.euclidean:  # others are in parts, and have tests of their own
            achieved = step.next_state[:, list(task.spec.goal_indices)].double()
            distance = ((achieved - goal.double()) ** 2).sum(1).sqrt()
            assert torch.allclose(step.distance.double(), distance, atol=1e-5)
        for reached, radius in (
            (step.success, task.success_radius),
            (step.success_easy, task.success_easy),
            (step.success_hard, task.success_hard),
        ):
            if reached is None or radius is None:
                assert reached is radius is None
            else:
                assert torch.equal(reached, step.distance < radius)


def test_the_success_radius_is_the_threshold(task: GoalTask, rollout: Rollout) -> None:
    wide = copy.copy(task)
    wide.success_radius = float(torch.cat([step.distance for step in rollout.steps[:20]]).median())
    envs = vectorize(wide)
    envs.reset()
    steps = [envs.step(action) for action in random_actions(wide, 20)]
    for step in steps:
        assert torch.equal(step.success, step.distance < wide.success_radius)
    successes = torch.cat([step.success for step in steps])
    assert successes.any()
    assert not successes.all()


def test_a_slow_single_simulation_agrees(task: GoalTask) -> None:
    envs, model = vectorize(task), task.model
    envs.reset()
    full = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    slow = [mujoco.MjData(model) for _ in range(N)]
    for state, data in zip(envs.physics.get_state().numpy(), slow, strict=True):
        mujoco.mj_setState(model, data, state, full)
    qpos, qvel = envs.physics.field("qpos"), envs.physics.field("qvel")
    alive = torch.ones(N, dtype=torch.bool)
    for action in 0.3 * random_actions(task, 15):
        control = task.control(envs.physics, action).clone()
        step = envs.step(action)
        alive &= ~(step.terminated | step.truncated)
        for index, data in enumerate(slow):
            data.ctrl[:] = control[index].numpy()
            mujoco.mj_step(model, data, task.substeps)
            state = torch.tensor([*data.qpos, *data.qvel])
            assert not alive[index] or torch.equal(torch.cat((qpos, qvel), dim=1)[index], state)
    assert alive.any()


def test_a_checkpoint_goes_on_bit_exactly_in_the_middle_of_an_episode(task: GoalTask, assert_same) -> None:
    envs, actions = vectorize(task, length=20), random_actions(task, 50)
    envs.reset()
    for action in actions[:15]:
        envs.step(action)
    saved = envs.state_dict()
    expected = [envs.step(action) for action in actions[15:]]  # also shows that `saved` holds copies
    other = vectorize(task, length=20, seed=99, threads=2)
    other.reset()
    other.step(actions[0])
    other.load_state_dict(saved)
    for action, step in zip(actions[15:], expected, strict=True):
        assert_same(step, other.step(action))


def test_the_goal_marker_follows_the_goal_and_is_only_a_picture(task: GoalTask, rollout: Rollout) -> None:
    goal, model = rollout.steps[-1].observation.goal, task.model
    markers = [body for body in range(model.nbody) if model.body_mocapid[body] >= 0]
    assert model.body("goal").id == markers[0]
    for index in range(N):
        data = rollout.envs.data(index)
        shown = task.marker_position(goal)[index].view(-1, 3)
        assert torch.equal(torch.tensor(data.xpos[markers]).float(), shown)
        flat = min(2, goal.shape[1])
        assert torch.equal(shown[0, :flat], goal[index, :flat])
    for marker in markers:
        assert model.body_mass[marker] == 0
        assert model.body_dofnum[marker] == 0
        geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] == marker]
        assert geoms
        for g in geoms:
            assert model.geom_contype[g] == model.geom_conaffinity[g] == 0


def test_cameras_and_control_step(name: str, task: GoalTask) -> None:
    assert {task.model.camera(i).name for i in range(task.model.ncam)} >= {"overview", "track"}
    assert task.ctrl_dt == pytest.approx(CTRL_DT.get(name.partition("_")[0], 0.05))


@pytest.mark.parametrize("extra", [-1, 1])
def test_an_action_of_another_size_is_one_line(task: GoalTask, extra: int) -> None:
    envs, size = vectorize(task, num_envs=2), task.spec.action_dim + extra
    envs.reset()
    with pytest.raises(ValueError, match=rf"action must have shape \(2, {size - extra}\), got \(2, {size}\)"):
        envs.step(torch.zeros(2, size))
