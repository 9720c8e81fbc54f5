"""The arm's tasks share one robot; arm_reach: its model, state, controls and goals."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.tasks.arm import START, ArmReach


def _starts(task, num=4000):
    return task.sample_start(num, torch.Generator().manual_seed(0))


def _places(data: mujoco.MjData, pose: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns link7's position and the height of the lowest point of the hand's capsule, in pose [7]; writes `data`."""
    model = data.model
    data.qpos[:] = pose
    mujoco.mj_kinematics(model, data)
    hand = model.geom("robot/hand").id
    radius, half = model.geom_size[hand, :2]
    return data.body("robot/link7").xpos.copy(), data.geom_xpos[hand, 2] - half * abs(data.geom_xmat[hand, 8]) - radius


def test_the_model_has_the_numbers_of_the_source():
    task = ArmReach()
    model = task.model
    assert (model.nq, model.nv, model.nu) == (7, 7, 7)
    assert model.opt.timestep == 0.002
    assert task.ctrl_dt == pytest.approx(0.05)
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    assert (model.opt.iterations, model.opt.ls_iterations, model.opt.impratio) == (6, 12, 1)
    assert (task.spec.state_dim, task.spec.action_dim, task.spec.goal_indices) == (13, 4, (7, 8, 9))


def test_actions_are_absolute_targets_of_four_joints(make):
    envs = make("arm_reach", num_envs=3)
    task = envs.task
    action = torch.tensor([[-1.0, -1, -1, -1], [1, 1, 1, 1], [0, 2, -3, 0.5]])
    expected = torch.tensor(
        [
            [0.3491, 0, 0, -3.0718, 0, 2.3562, 0.785398],
            [2.7925, 1.48353, 0, -0.0698, 0, 3.7525, 0.785398],
            [1.5708, 1.48353, 0, -3.0718, 0, 3.403425, 0.785398],
        ]
    )
    assert torch.allclose(task.control(envs.physics, action), expected)


def test_an_action_that_is_held_is_reached_and_the_state_says_so(make):
    envs = make("arm_reach", num_envs=2)
    envs.reset()
    action = torch.tensor([[0.2, -0.1, 0.1, 0.0], [-0.3, -0.4, 0.0, 0.5]])
    state = [envs.step(action).next_state for _ in range(40)][-1]
    control = envs.task.control(envs.physics, action)
    assert torch.allclose(state[:, :7], control, atol=1e-4)
    assert state[:, 10:].abs().max() < 1e-3
    for row in range(2):
        place, lowest = _places(mujoco.MjData(envs.task.model), control[row].double().numpy())
        assert lowest > 0
        assert np.allclose(state[row, 7:10], place, atol=1e-4)


def test_the_velocity_in_the_state_is_the_rate_of_the_position(make, actions):
    envs = make("arm_reach", num_envs=2)
    envs.reset()
    for action in actions(envs, 3):
        envs.step(action)
    data, model = envs.data(0), envs.task.model
    state = envs.task.state(envs.physics)[0].double().numpy()
    jacobian = np.zeros((3, model.nv))
    mujoco.mj_jacBody(model, data, jacobian, None, model.body("robot/link7").id)
    assert np.allclose(state[7:10], data.body("robot/link7").xpos, atol=1e-6)
    assert np.allclose(state[10:], jacobian @ data.qvel, atol=1e-5)
    assert np.abs(state[10:]).max() > 0.01


def test_the_hand_does_not_sink_into_the_table(make):
    envs = make("arm_reach", num_envs=2)
    envs.reset()
    for _ in range(40):
        envs.step(torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.5, 1.0, -0.1, -1.0]]))
    for row in range(2):
        _, lowest = _places(mujoco.MjData(envs.task.model), envs.physics.field("qpos")[row].numpy())
        assert -0.005 < lowest < 0.005
    assert envs.num_unstable == 0


def test_starts_are_at_rest_around_the_pose_of_the_sources():
    start = _starts(ArmReach(reset_noise=0.1))
    noise = start.qpos - torch.tensor(START).double()
    assert stats.kstest(noise.flatten().numpy(), "uniform", args=(-0.1, 0.2)).pvalue > 1e-3
    assert not start.qvel.any()
    assert torch.equal(_starts(ArmReach(reset_noise=0.0), 3).qpos, torch.tensor([START] * 3, dtype=torch.float64))


@pytest.mark.parametrize("noise", [0.2, 0.05])
def test_goals_are_uniform_in_the_box(noise):
    goal = _starts(ArmReach(goal_noise=noise)).goal.double()
    for axis, centre in enumerate((0, 0.5, 0.3)):
        assert stats.kstest(goal[:, axis].numpy(), "uniform", args=(centre - noise, 2 * noise)).pvalue > 1e-3
    assert np.abs(np.corrcoef(goal.numpy().T) - np.eye(3)).max() < 0.06


def test_every_goal_can_be_held(make):
    """99% of goals are within the success radius of a pose that an action commands, clear of the table."""
    envs = make("arm_reach")
    task = envs.task
    action = 2 * torch.rand(4000, 4, generator=torch.Generator().manual_seed(1)) - 1
    poses = task.control(envs.physics, action).double().numpy()
    poses[:, 0] = np.pi / 2
    data = mujoco.MjData(task.model)
    found = [_places(data, pose) for pose in poses]
    held = np.array([(np.hypot(*place[:2]), place[2]) for place, lowest in found if lowest > 0])
    goal = _starts(task, 500).goal.double().numpy()
    wanted = np.stack((np.hypot(goal[:, 0], goal[:, 1]), goal[:, 2]), 1)
    nearest = np.linalg.norm(wanted[:, None] - held, axis=2).min(1)
    assert (nearest < task.success_radius).mean() > 0.99
    azimuth = np.arctan2(goal[:, 1], goal[:, 0])
    assert azimuth.min() > 0.3491
    assert azimuth.max() < 2.7925


def test_bad_hyperparameters_are_named():
    with pytest.raises(ValueError, match="success_radius must be greater than 0, got -1"):
        ArmReach(success_radius=-1.0)
    for name in ("goal_noise", "reset_noise"):
        with pytest.raises(ValueError, match=f"{name} must be at least 0, got -1"):
            ArmReach(**{name: -1.0})
