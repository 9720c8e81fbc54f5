"""Every registered task: the simulation, episodes and checkpoints. A new id is tested without a change here.

All tests of an id share its compiled model and one recorded rollout.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import copy
from dataclasses import dataclass

import mujoco
import pytest
import torch
from torch import Tensor

from deepcrl.core.types import Observation, Step
from deepcrl.envs import make_task
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv
from tests.envs.contract import LENGTH, NAMES, N, random_actions, vectorize

STEPS = 200
"""Of the recorded rollout."""
CTRL_DT = {"humanoid": 0.015, "reacher": 0.02}
"""Seconds, where they are not 0.05."""


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
