"""The humanoid: its model beside Gymnasium's, state, starts and goals."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.robots.humanoid import ACTUATORS, JOINTS, LINKS
from deepcrl.envs.tasks.humanoid import Humanoid, HumanoidMaze

GYMNASIUM = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "humanoid.xml"


@pytest.fixture(scope="module")
def model():
    return Humanoid().model


@pytest.fixture(scope="module")
def theirs():
    return mujoco.MjModel.from_xml_path(str(GYMNASIUM))


def test_order_of_links_joints_and_motors(model):
    assert [model.body(i).name for i in range(1, 12)] == ["robot/" + link for link in LINKS]
    assert [model.joint(i).name for i in range(1, 18)] == ["robot/" + joint for joint in JOINTS]
    assert [model.actuator(i).name for i in range(17)] == ["robot/" + joint for joint in ACTUATORS]


def test_motors_are_gymnasiums(model, theirs):
    assert tuple(theirs.actuator(i).name for i in range(17)) == ACTUATORS
    strength = [m.actuator_gear[:, 0] * m.actuator_ctrlrange[:, 1] for m in (model, theirs)]
    np.testing.assert_allclose(*strength)


@pytest.mark.parametrize(
    "field", ["jnt_range", "jnt_limited", "jnt_axis", "jnt_pos", "jnt_stiffness", "dof_damping", "dof_armature"]
)
def test_joints_are_gymnasiums(field, model, theirs):
    np.testing.assert_allclose(getattr(model, field), getattr(theirs, field), atol=1e-9)


def test_centre_of_mass_and_mass_matrix_are_gymnasiums(model, theirs):
    """In a random pose: every body has the same place, mass and inertia, the feet inside the shins or not."""
    pose = np.random.default_rng(0).uniform(-0.3, 0.3, 24) + np.eye(24)[3]
    matrices = []
    for each in (model, theirs):
        data = mujoco.MjData(each)
        data.qpos[:] = pose
        mujoco.mj_forward(each, data)
        full = np.zeros((23, 23))
        mujoco.mj_fullM(each, data, full)
        matrices.append(np.concatenate((full.ravel(), data.qfrc_bias)))
    np.testing.assert_allclose(*matrices, atol=2e-3)


def test_it_stands_on_its_feet_only_for_a_moment_and_falls(make):
    envs = make("humanoid", num_envs=8)
    envs.reset()
    heights, fallen = [], torch.zeros(8, dtype=torch.bool)
    for _ in range(150):
        step = envs.step(torch.zeros(8, 17))
        heights.append(step.next_state[:, 2])
        fallen |= step.terminated
    assert (heights[5] > 1.2).all()
    assert fallen.all()


def test_the_feet_carry_the_weight(make):
    envs = make("humanoid", task={"reset_noise": 0.0})
    envs.reset()
    for _ in range(12):
        envs.step(torch.zeros(5, 17))
    data = envs.data(0)
    touching = {envs.task.model.geom(g).name for pair in data.contact.geom for g in pair}
    assert touching == {"floor", "robot/right_foot", "robot/left_foot"}


def test_the_state_is_consistent_after_reset_and_step(make, actions):
    """Derived entries equal a fresh computation at the same positions and velocities; controls: the last action's."""
    envs = make("humanoid_u_maze", episode_length=7)
    state, control = envs.reset().state, torch.zeros(5, 17)
    for action in (None, *actions(envs, 20)):
        if action is not None:
            step = envs.step(1.5 * action)
            done = step.terminated | step.truncated
            state, control = step.observation.state, torch.where(done[:, None], 0, (1.5 * action).clamp(-1, 1))
        for index in range(5):
            data = mujoco.MjData(envs.task.model)
            data.qpos[:], data.qvel[:] = envs.physics.field("qpos")[index], envs.physics.field("qvel")[index]
            mujoco.mj_forward(envs.task.model, data)
            slow = [*data.qpos, *data.qvel, *data.cinert[1:12].ravel(), *data.cvel[1:12].ravel(), *control[index]]
            torch.testing.assert_close(state[index], torch.tensor(slow, dtype=torch.float32), atol=1e-5, rtol=1e-5)


def test_healthy_heights():
    state = torch.zeros(4, 240)
    state[:, 2] = torch.tensor([0.99, 1.01, 1.99, 2.01])
    assert Humanoid().terminated(state).tolist() == [True, False, False, True]


def test_goals_have_a_uniform_angle_and_distance():
    start = Humanoid().sample_start(4000, torch.Generator().manual_seed(0))
    goal = start.goal.double()
    assert torch.equal(start.goal[:, 2], torch.full((4000,), 1.25))
    assert stats.kstest(goal[:, :2].norm(dim=1).numpy(), "uniform", args=(1.0, 4.0)).pvalue > 1e-3
    angle = torch.atan2(goal[:, 1], goal[:, 0])
    assert stats.kstest(angle.numpy(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3


def test_starts_and_maze_goals():
    task = HumanoidMaze(layout="big_maze")
    start = task.sample_start(4000, torch.Generator().manual_seed(0))
    standing = torch.zeros(24, dtype=torch.float64)
    standing[:4] = torch.tensor([2.0, 2.0, 1.4, 1.0])
    assert ((start.qpos - standing).abs() <= 0.0101).all()
    assert torch.allclose(start.qpos[:, 3:7].norm(dim=1), torch.ones(4000).double())
    assert stats.kstest(start.qvel.flatten().numpy(), "uniform", args=(-0.01, 0.02)).pvalue > 1e-3
    hits = (start.goal[:, None, :2].double() == task.maze.centres("G")).all(dim=2)
    assert hits.any(dim=1).all()
    assert stats.chisquare(hits.sum(dim=0).numpy()).pvalue > 1e-3


def test_a_minimum_beyond_the_goals_is_one_line():
    with pytest.raises(ValueError, match="goal_distance_min must be within 0 and goal_distance 5.0, got 7.0"):
        Humanoid(goal_distance_min=7.0)
