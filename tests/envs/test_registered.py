"""What every registered task must hold."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import pytest
import torch

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task
from deepcrl.envs.mazes import LAYOUTS
from deepcrl.envs.task import GoalTask

discover()
NAMES = [name for name in ENVS if isinstance(make_task({"name": name}), GoalTask)]
EXPECTED = (
    [
        "reacher",
        *("arm_reach", "arm_grasp", "arm_push_easy", "arm_push_hard"),
        *("arm_binpick_easy", "arm_binpick_hard", "arm_binpick_easy_eef"),
        *("pusher_easy", "pusher_hard", "pusher_reacher", "pusher2"),
        "half_cheetah",
        "ant",
        "ant_random_start",
        "ant_maze",
        "point_maze",
        "ant_u5_maze_gen_1f2f3f",
        "ant_ball",
        "ant_push",
        "ant_ball_u_maze",
        "ant_ball_big_maze",
    ]
    + [f"humanoid{maze}" for maze in ("", "_maze", "_u_maze", "_u_maze_eval", "_big_maze_eval", "_hardest_maze_eval")]
    + [f"{robot}_{layout}" for robot in ("ant", "point") for layout in LAYOUTS]
)
ONE_GOAL = {name for name in NAMES if name.endswith("single_eval")} | {"half_cheetah"}
"""Tasks whose every goal is the same."""
CTRL_DT = {"humanoid": 0.015, "reacher": 0.02}
"""Seconds, where they are not 0.05."""
IN_PARTS = {"arm_grasp", "pusher2"}
"""Tasks whose distance is not Euclidean but the largest of several parts'; their own files test it."""
each_task = pytest.mark.parametrize("name", NAMES)


def test_the_names_are_registered():
    assert set(EXPECTED) <= set(NAMES)


@each_task
def test_sizes_agree(name, make, actions):
    envs = make(name)
    spec, model = envs.spec, envs.task.model
    observation = envs.reset()
    step = envs.step(actions(envs, 1)[0])
    assert observation.state.shape == step.next_state.shape == (5, spec.state_dim)
    assert observation.goal.shape == (5, spec.goal_dim)
    assert observation.state.dtype == observation.goal.dtype == step.distance.dtype == torch.float32
    assert step.success.dtype == step.terminated.dtype == step.truncated.dtype == torch.bool
    assert step.traj_id.dtype == torch.int64
    for field in (step.distance, step.success, step.terminated, step.truncated, step.traj_id):
        assert field.shape == (5,)
    assert max(spec.goal_indices) < spec.state_dim
    assert envs.physics.field("ctrl").shape == (5, model.nu)


@each_task
def test_every_entry_of_state_goal_and_action_has_a_label(name):
    task = make_task({"name": name})
    assert isinstance(task, GoalTask)
    labels = {task.spec.state_dim: task.state_labels, task.spec.action_dim: task.action_labels}
    for size, words in labels.items():
        assert len(words) == len(set(words)) == size
    assert task.goal_labels == tuple(task.state_labels[i] for i in task.spec.goal_indices)


@each_task
def test_200_random_steps_are_finite(name, make, actions):
    envs = make(name, episode_length=60)
    envs.reset()
    for action in actions(envs, 200):
        step = envs.step(action)
        for value in (step.next_state, step.observation.state, step.observation.goal, step.distance):
            assert value.isfinite().all()
    assert envs.num_unstable == 0


@each_task
def test_same_seed_same_rollout_at_any_thread_count(name, make, actions, assert_same):
    envs = [make(name, num_threads=threads, episode_length=40, seed=3) for threads in (1, 2)]
    first = [e.reset() for e in envs]
    assert torch.equal(first[0].state, first[1].state)
    assert torch.equal(first[0].goal, first[1].goal)
    for action in actions(envs[0], 90):
        assert_same(*(e.step(action) for e in envs))


@each_task
def test_another_seed_is_another_rollout(name, make):
    one, other = make(name, seed=1, num_envs=32).reset(), make(name, seed=2, num_envs=32).reset()
    assert not torch.equal(one.state, other.state)
    assert torch.equal(one.goal, other.goal) == (name in ONE_GOAL)


@each_task
def test_the_state_does_not_depend_on_the_commanded_goal(name, make, actions):
    envs, twin = make(name, episode_length=30), make(name, episode_length=30)
    envs.reset()
    saved = envs.state_dict()
    saved["goal"] = saved["goal"] + 1.5
    twin.load_state_dict(saved)
    twin.physics.field("mocap_pos").add_(1.5)
    for action in actions(envs, 29):
        a, b = envs.step(action), twin.step(action)
        assert torch.equal(a.next_state, b.next_state)
        assert torch.equal(a.observation.state, b.observation.state)
        assert not torch.equal(a.distance, b.distance)


@pytest.mark.parametrize("name", sorted(set(NAMES) - IN_PARTS))
def test_distance_and_success_speak_of_the_state_after_the_step(name, make, actions):
    envs = make(name, num_envs=16, episode_length=25, task={"success_radius": 4.0})
    goal = envs.reset().goal
    for action in actions(envs, 60):
        step = envs.step(action)
        achieved = step.next_state[:, list(envs.spec.goal_indices)].double()
        distance = ((achieved - goal.double()) ** 2).sum(1).sqrt()
        assert torch.allclose(step.distance.double(), distance, atol=1e-5)
        assert torch.equal(step.success, step.distance < 4.0)
        goal = step.observation.goal


@each_task
def test_a_slow_single_simulation_agrees(name, make, actions):
    envs = make(name)
    envs.reset()
    model = envs.task.model
    full = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    slow = [mujoco.MjData(model) for _ in range(5)]
    for state, data in zip(envs.physics.get_state().numpy(), slow, strict=True):
        mujoco.mj_setState(model, data, state, full)
    qpos, qvel = envs.physics.field("qpos"), envs.physics.field("qvel")
    alive = torch.ones(5, dtype=torch.bool)
    for action in 0.3 * actions(envs, 25):
        control = envs.task.control(envs.physics, action)
        step = envs.step(action)
        alive &= ~(step.terminated | step.truncated)
        for index, data in enumerate(slow):
            data.ctrl[:] = control[index].numpy()
            for _ in range(envs.task.substeps):
                mujoco.mj_step(model, data)
            state = torch.tensor([*data.qpos, *data.qvel])
            assert not alive[index] or torch.equal(torch.cat((qpos, qvel), dim=1)[index], state)
    assert alive.any()


@each_task
def test_a_checkpoint_goes_on_bit_exactly_in_the_middle_of_an_episode(name, make, actions, assert_same):
    envs = make(name, episode_length=50)
    envs.reset()
    acts = actions(envs, 120)
    for action in acts[:30]:
        envs.step(action)
    saved = envs.state_dict()
    expected = [envs.step(action) for action in acts[30:]]  # also shows that `saved` holds copies
    other = make(name, episode_length=50, seed=99, num_threads=1)
    other.reset()
    other.step(acts[0])
    other.load_state_dict(saved)
    for action, step in zip(acts[30:], expected, strict=True):
        assert_same(step, other.step(action))


@each_task
def test_the_goal_marker_follows_the_goal_and_is_only_a_picture(name, make, actions):
    envs = make(name, episode_length=10)
    goal = envs.reset().goal
    for action in actions(envs, 15):
        goal = envs.step(action).observation.goal
    model = envs.task.model
    markers = [body for body in range(model.nbody) if model.body_mocapid[body] >= 0]
    assert model.body("goal").id == markers[0]
    for index in range(5):
        data = envs.data(index)
        shown = envs.task.marker_position(goal)[index].view(-1, 3)
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


@each_task
def test_cameras_and_control_step(name, make):
    task = make(name).task
    assert {task.model.camera(i).name for i in range(task.model.ncam)} >= {"overview", "track"}
    assert task.ctrl_dt == pytest.approx(CTRL_DT.get(name.partition("_")[0], 0.05))
