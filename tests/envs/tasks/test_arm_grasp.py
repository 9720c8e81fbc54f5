"""arm_grasp: state, starts and goals, its distance in two parts; and that a scripted hand grasps and lifts the cube."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.tasks.arm import DRIVEN, JOINT7
from deepcrl.envs.tasks.arm_grasp import ArmGrasp


def _starts(task, num=4000):
    return task.sample_start(num, torch.Generator().manual_seed(0))


def test_the_model_and_the_goals_entries():
    task = ArmGrasp()
    assert (task.model.nq, task.model.nv, task.model.nu) == (16, 15, 9)
    assert (task.spec.state_dim, task.spec.action_dim, task.spec.goal_indices) == (23, 5, tuple(range(16, 23)))
    assert task.goal_labels[0] == "left_fingertip x (m)"
    assert task.goal_labels[6] == "fingertip distance (m)"
    assert task.success_radius == 0.05


def test_the_state_is_what_its_labels_say(make, actions):
    envs = make("arm_grasp", num_envs=3)
    envs.reset()
    state = [envs.step(action).next_state for action in actions(envs, 10)][-1]
    for row in range(3):
        data = envs.data(row)
        left, right = (data.site(f"robot/{side}_fingertip").xpos for side in ("left", "right"))
        assert np.allclose(state[row, :3], data.body("cube").xpos, atol=1e-6)
        assert np.allclose(state[row, 10:13], data.body("robot/link7").xpos, atol=1e-6)
        assert np.allclose(state[row, 16:22], (*left, *right), atol=1e-6)
        assert state[row, 22] == pytest.approx(np.linalg.norm(left - right), abs=1e-6)
        assert state[row, 22] == pytest.approx(data.qpos[7:9].sum() + 0.01, abs=1e-5)


@pytest.mark.parametrize("noise", [0.3, 0.1])
def test_cubes_are_uniform_in_a_square(noise):
    cube = _starts(ArmGrasp(cube_noise=noise)).qpos[:, 9:12]
    for axis, centre in enumerate((0, 0.6)):
        assert stats.kstest(cube[:, axis].numpy(), "uniform", args=(centre - noise, 2 * noise)).pvalue > 1e-3
    assert torch.allclose(cube[:, 2], torch.tensor(0.03).double())


def test_goals_are_what_the_hand_shows_where_the_arm_points_at_the_cube():
    task = ArmGrasp()
    start = _starts(task, 20)
    goal = start.goal.double().numpy()
    data = mujoco.MjData(task.model)
    for row in range(20):
        cube = start.qpos[row, 9:12].numpy()
        azimuth = math.atan2(cube[1], cube[0])
        data.qpos[:] = start.qpos[row].numpy()
        data.qpos[:9] = (azimuth, 0.6, 0, -2.2, 0, 2.8, JOINT7, 0.0325, 0.0325)
        mujoco.mj_forward(task.model, data)
        left, right = (data.site(f"robot/{side}_fingertip").xpos for side in ("left", "right"))
        shift = cube - (left + right) / 2
        assert np.allclose(goal[row, :3], left + shift, atol=1e-6)
        assert np.allclose(goal[row, 3:6], right + shift, atol=1e-6)
        assert goal[row, 6] == pytest.approx(np.linalg.norm(left - right), abs=1e-6)
        # The cube faces the arm: one of its axes is along the fingers'
        axis = (left - right) / np.linalg.norm(left - right)
        assert data.body("cube").xmat.reshape(3, 3)[:, 0] @ axis == pytest.approx(1)


def test_the_distance_is_the_larger_of_place_and_openness():
    task = ArmGrasp()
    goal = _starts(task, 4).goal
    state = torch.zeros(4, 23)
    state[:, 16:] = goal
    state[0, 16] += 0.04  # one fingertip: the midpoint by half
    state[1, 16:22] += torch.tensor([0.03, 0, 0.04] * 2)
    state[2, 22] += 0.02
    state[3, 16:19], state[3, 19:22] = goal[3, 3:6], goal[3, :3]  # the other way round is as good
    assert task.distance(state, goal).tolist() == pytest.approx([0.02, 0.05, 0.05, 0.0], abs=1e-6)


def test_success_is_place_within_5_cm_of_the_cube_and_openness_within_2_cm(make):
    envs = make("arm_grasp", num_envs=8, episode_length=25)
    envs.reset()
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        step = envs.step(2 * torch.rand(8, 5, generator=generator) - 1)
        tips = step.next_state[:, 16:22].view(8, 2, 3)
        place = (tips.mean(dim=1) - step.next_state[:, :3]).norm(dim=1)
        openness = (step.next_state[:, 22] - 0.075).abs()
        assert torch.allclose(step.distance, torch.maximum(place, 2.5 * openness), atol=1e-5)
        assert torch.equal(step.success, (step.distance < 0.05))


def test_a_scripted_hand_grasps_and_lifts_the_cube(make, fingers_down):
    envs = make("arm_grasp", num_envs=1, task={"cube_noise": 0.0, "reset_noise": 0.0})
    envs.reset()
    model = envs.task.model
    high, low = (0.0, 0.6, 0.16), (0.0, 0.6, 0.03)
    successes = []
    for place, gripper, steps in ((high, -1.0, 20), (low, -1.0, 20), (low, 1.0, 20), (high, 1.0, 30)):
        action = fingers_down(model, place, gripper)[None]
        step = [envs.step(action) for _ in range(steps)][-1]
        successes.append(bool(step.success))
        if place == low:
            assert step.observation.goal[0, :3].tolist() == pytest.approx([0.0375, 0.6, 0.03], abs=4e-3)
            assert step.next_state[0, :3].tolist() == pytest.approx([0.0, 0.6, 0.03], abs=4e-3)
    assert successes == [False, False, True, True]  # lifted, too: the goal is where the cube is
    assert step.next_state[0, 22] == pytest.approx(0.068, abs=1e-3)
    assert step.next_state[0, 2] > 0.15


def test_the_goal_moves_with_the_cube_and_a_new_episode_has_its_own(make):
    envs = make("arm_grasp", num_envs=4, episode_length=3)
    first = envs.reset().goal
    qpos = envs.physics.field("qpos")
    qpos[:, 9:11] = torch.tensor([0.3, 0.4]).double()
    step = envs.step(torch.zeros(4, 5))
    goal = step.observation.goal
    assert torch.allclose(goal[:, :3], torch.tensor([0.33, 0.3775, 0.03]).expand(4, 3), atol=1e-3)
    assert torch.allclose(goal[:, 3:6], torch.tensor([0.27, 0.4225, 0.03]).expand(4, 3), atol=1e-3)
    assert not torch.equal(goal, first)
    assert torch.equal(torch.tensor(envs.data(0).mocap_pos).float(), goal[0, :6].view(2, 3))
    for _ in range(2):
        step = envs.step(torch.zeros(4, 5))
    assert step.truncated.all()
    cube = (step.observation.goal[:, :3] + step.observation.goal[:, 3:6]) / 2
    assert torch.allclose(cube, step.observation.state[:, :3], atol=1e-6)
    assert len(cube.unique(dim=0)) == 4


def test_every_cube_can_be_grasped():
    """Some pose that an action commands has its fingertips' midpoint within the success radius, clear of the table."""
    task = ArmGrasp()
    model, data = task.model, mujoco.MjData(task.model)
    rng = np.random.default_rng(0)
    low, high = np.array([DRIVEN[joint] for joint in (1, 3, 5)]).T
    solid = [model.geom(f"robot/{name}").id for name in ("left_finger", "right_finger")]
    found = []
    for angles in rng.uniform(low, high, (6000, 3)):
        data.qpos[[0, 1, 3, 5]], data.qpos[6], data.qpos[7:9] = (math.pi / 2, *angles), JOINT7, 0.0325
        mujoco.mj_kinematics(model, data)
        sunk = [data.geom_xpos[g, 2] - abs(data.geom_xmat[g].reshape(3, 3)[2]) @ model.geom_size[g] for g in solid]
        if min(sunk) > 0 and data.body("robot/hand").xpos[2] > 0.1:
            found.append(np.mean([data.site(f"robot/{side}_fingertip").xpos for side in ("left", "right")], axis=0))
    reach = np.array(found)[:, 1:]
    radius = _starts(task, 500).qpos[:, 9:11].norm(dim=1).numpy()
    gaps = np.hypot(radius[:, None] - reach[:, 0], 0.03 - reach[:, 1])
    assert (gaps.min(axis=1) < task.success_radius).all()


def test_bad_hyperparameters_are_named():
    with pytest.raises(ValueError, match="cube_noise must be at least 0, got -1"):
        ArmGrasp(cube_noise=-1.0)
    with pytest.raises(ValueError, match="success_radius must be greater than 0, got 0"):
        ArmGrasp(success_radius=0.0)
