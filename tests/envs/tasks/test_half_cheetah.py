"""The half-cheetah: its model beside Gymnasium's, starts and goals."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.tasks.half_cheetah import HalfCheetah

GYMNASIUM = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "half_cheetah.xml"


@pytest.fixture(scope="module")
def model():
    return HalfCheetah().model


@pytest.fixture(scope="module")
def theirs():
    return mujoco.MjModel.from_xml_path(str(GYMNASIUM))


@pytest.mark.parametrize(
    "field",
    [
        "jnt_range",
        "jnt_limited",
        "jnt_axis",
        "jnt_stiffness",
        "jnt_solref",
        "dof_damping",
        "dof_armature",
    ],
)
def test_joints_are_gymnasiums(field, model, theirs):
    np.testing.assert_allclose(getattr(model, field), getattr(theirs, field), atol=1e-9)
    limited = model.jnt_limited.astype(bool)
    np.testing.assert_allclose(model.jnt_solimp[limited], theirs.jnt_solimp[limited], atol=1e-9)


@pytest.mark.parametrize("field", ["mass", "pos", "ipos", "inertia"])
def test_bodies_are_gymnasiums(field, model, theirs):
    for name in ("torso", "bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot"):
        np.testing.assert_allclose(
            getattr(model.body("robot/" + name), field), getattr(theirs.body(name), field), atol=1e-5
        )


def test_free_flight_is_gymnasiums(model, theirs):
    """Half a second from 5 m up, pushed by constant controls: no contact, so the same dynamics to the last joint."""
    ends = []
    for each in (model, theirs):
        each.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
        data = mujoco.MjData(each)
        data.qpos[1] = 5
        data.ctrl[:] = (0.1, -0.2, 0.3, -0.1, 0.2, -0.3)
        mujoco.mj_step(each, data, 50)
        ends.append(data.qpos.copy())
    np.testing.assert_allclose(*ends, atol=1e-3)


def test_the_floor_carries_it_with_gymnasiums_friction(make):
    envs = make("half_cheetah", task={"reset_noise": 0.0})
    envs.reset()
    for _ in range(59):
        envs.step(torch.zeros(5, 6))
    state = envs.step(torch.zeros(5, 6)).next_state
    assert (state[:, 9:].abs() < 0.1).all()
    contact = envs.data(0).contact
    assert len(contact.dist) >= 2
    assert contact.dist.min() > -0.03
    assert np.allclose(contact.friction[:, 0], 0.4)


def test_goals_are_one_place_or_uniform():
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(HalfCheetah().sample_start(9, generator).goal, torch.full((9, 1), 5.0))
    start = HalfCheetah(goal_distance_min=1.0).sample_start(4000, generator)
    assert stats.kstest(start.goal[:, 0].numpy(), "uniform", args=(1.0, 4.0)).pvalue > 1e-3
    assert stats.kstest(start.qpos.flatten().numpy(), "uniform", args=(-0.1, 0.2)).pvalue > 1e-3
    assert stats.kstest(start.qvel.flatten().numpy(), "norm", args=(0, 0.1)).pvalue > 1e-3


def test_a_minimum_beyond_the_goal_is_one_line():
    with pytest.raises(ValueError, match="goal_distance_min must be within 0 and goal_distance 5.0, got 6.0"):
        HalfCheetah(goal_distance_min=6.0)
