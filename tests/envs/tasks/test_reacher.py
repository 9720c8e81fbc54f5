"""The reacher: its numbers, its state, its goals."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.tasks.reacher import Reacher


def _starts(task, num=4000):
    return task.sample_start(num, torch.Generator().manual_seed(0))


def test_it_touches_nothing_and_only_the_elbow_is_limited():
    model = Reacher().model
    assert not model.geom_conaffinity.any()
    assert model.jnt_limited.tolist() == [0, 1]


def test_the_state_is_what_mujoco_computes(make, actions):
    envs = make("reacher")
    envs.reset()
    state = [envs.step(action).next_state for action in actions(envs, 20)][-1]
    for i in range(envs.num_envs):
        data = envs.data(i)
        tip, twist = data.body("robot/fingertip"), np.empty(6)
        mujoco.mj_objectVelocity(envs.task.model, data, mujoco.mjtObj.mjOBJ_XBODY, tip.id, twist, 0)
        assert abs(twist[3]) + abs(twist[4]) > 0.01
        expected = np.concatenate((np.cos(data.qpos), np.sin(data.qpos), tip.xpos, twist[3:]))
        assert np.allclose(state[i].numpy(), expected, atol=1e-6)


def test_starts_are_within_the_noise():
    start = _starts(Reacher(reset_noise=0.2))
    assert stats.kstest(start.qpos.flatten().numpy(), "uniform", args=(-0.2, 0.4)).pvalue > 1e-3
    assert stats.kstest(start.qvel.flatten().numpy(), "uniform", args=(-0.005, 0.01)).pvalue > 1e-3


def test_goals_have_uniform_radius_and_angle_in_the_plane_of_the_fingertip():
    goal = _starts(Reacher(goal_distance=0.15)).goal.double()
    angle = torch.atan2(goal[:, 1], goal[:, 0])
    assert stats.kstest(goal[:, :2].norm(dim=1).numpy(), "uniform", args=(0, 0.15)).pvalue > 1e-3
    assert stats.kstest(angle.numpy(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3
    assert torch.allclose(goal[:, 2], torch.tensor(0.01).double())


def test_every_goal_is_within_reach():
    """The arm reaches 0.01 to 0.21 m; what lies nearer to the shoulder is within the success radius."""
    radius = _starts(Reacher()).goal[:, :2].norm(dim=1)
    assert radius.max() <= 0.21
    assert Reacher().success_radius > 0.01


@pytest.mark.parametrize("name", ["goal_distance", "success_radius"])
def test_bad_hyperparameters_are_named(name):
    with pytest.raises(ValueError, match=f"{name} must be greater than 0, got -1"):
        Reacher(**{name: -1.0})
    with pytest.raises(ValueError, match="reset_noise must be at least 0, got -1"):
        Reacher(reset_noise=-1.0)
