"""The pusher's numbers against Brax's compiled pusher.xml."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from deepcrl.envs.robots.pusher import JOINTS, fork_place, pusher

MASSES = (7.293522, 3.141593, 0.085451 + 1.628602, 0.407150, 0.085451 + 0.842733, 0.005027, 0.180956)
"""kg; the source's bodies without joints joined with those before."""
RANGES = (
    *((-2.2854, 1.714602), (-0.5236, 1.3963), (-1.5, 1.7), (-2.3213, 0.0)),
    *((-1.5, 1.5), (-1.094, 0.0), (-1.5, 1.5)),
)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return pusher().compile()


def test_masses_joints_and_motors(model):
    assert [model.joint(i).name for i in range(model.njnt)] == list(JOINTS)
    assert np.allclose([model.body(name).mass[0] for name in JOINTS], MASSES, atol=2e-6)
    assert model.body("fork").mass[0] == pytest.approx(0.0025133, abs=1e-7)
    assert np.allclose(model.jnt_range, RANGES)
    assert model.jnt_limited.all()
    assert model.dof_damping.tolist() == [1, 1, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert (model.dof_armature == 0.04).all()
    assert (model.actuator_gear[:, 0] == 2).all()
    assert np.array_equal(model.actuator_ctrlrange, [[-1, 1]] * 7)


def test_the_arm_stretches_along_x(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert np.allclose(data.body("wrist_roll").xpos, (0.821, -0.6, 0))
    assert np.allclose(data.body("fork").xpos, (0.921, -0.6, 0))


def test_only_the_fork_collides(model):
    solid = model.geom_conaffinity != 0
    assert solid.sum() == 3
    assert set(model.geom_bodyid[solid]) == {model.body("wrist_roll").id}
    assert not model.geom_contype.any()


def test_the_forks_place_is_what_mujoco_computes(model):
    """Also beyond the joints' limits."""
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, (100, len(JOINTS)))
    data, expected = mujoco.MjData(model), []
    for angle in angles:
        data.qpos[:] = angle
        mujoco.mj_kinematics(model, data)
        expected.append(data.body("fork").xpos.copy())
    assert np.abs(fork_place(torch.from_numpy(angles)).numpy() - expected).max() < 1e-14
