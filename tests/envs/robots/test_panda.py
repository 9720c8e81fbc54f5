"""The Panda's numbers against those of the compiled MuJoCo Menagerie model, and that its servos hold."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import numpy as np
import pytest

from deepcrl.envs.robots.panda import FINGERS, JOINTS, panda

BODIES = {
    "link1": (4.97068, (0.707137, 0.703435, 0.0085246)),
    "link2": (0.646926, (0.0310326, 0.0283001, 0.0027343)),
    "link3": (3.2286, (0.0415014, 0.0414793, 0.0012464)),
    "link4": (3.5879, (0.0349596, 0.0281483, 0.0106201)),
    "link5": (1.22595, (0.0367625, 0.0288531, 0.0080344)),
    "link6": (1.66656, (0.0058428, 0.0043104, 0.0015979)),
    "link7": (0.735522, (0.0127345, 0.0101055, 0.004518)),
    "hand": (0.871268, (0.0025843, 0.0025843, 0.0006541)),
    "left_finger": (0.015, (2.4e-06, 2.4e-06, 8e-07)),
    "right_finger": (0.015, (2.4e-06, 2.4e-06, 8e-07)),
}
"""Mass, kg, and principal moments of inertia, kg m^2."""
SERVOS = (
    *((4500, 450, 87, -2.8973, 2.8973), (4500, 450, 87, -1.7628, 1.7628), (3500, 350, 87, -2.8973, 2.8973)),
    *((3500, 350, 87, -3.0718, -0.0698), (2000, 200, 12, -2.8973, 2.8973), (2000, 200, 12, -0.0175, 3.7525)),
    *((2000, 200, 12, -2.8973, 2.8973), (500, 50, 500, 0, 0.08), (500, 50, 500, 0, 0.08)),
)
"""kp, kd, force and range."""
POSE = (1.571, 0.742, 0.0, -1.571, 0.0, 3.054, 1.449, 0.04, 0.04)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    spec = panda(fingers=True)
    spec.option.timestep = 0.002
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return spec.compile()


def test_bodies(model):
    for name, (mass, inertia) in BODIES.items():
        assert model.body(name).mass[0] == pytest.approx(mass, rel=1e-5), name
        assert np.allclose(model.body(name).inertia, inertia, atol=6e-8, rtol=1e-5), name
    assert model.nbody == 1 + len(BODIES)
    assert model.body_mass.sum() == pytest.approx(sum(mass for mass, _ in BODIES.values()), rel=1e-5)


def test_joints_and_servos(model):
    assert [model.joint(i).name for i in range(model.njnt)] == [*JOINTS, *FINGERS]
    assert (model.nq, model.nv, model.nu) == (9, 9, 9)
    kp, kd, force, low, high = np.array(SERVOS).T
    assert np.allclose(model.jnt_range, np.stack((low, high), 1))
    assert np.array_equal(model.actuator_ctrlrange, model.jnt_range)
    assert np.array_equal(model.actuator_gainprm[:, 0], kp)
    assert np.array_equal(model.actuator_biasprm[:, :3], np.stack((0 * kp, -kp, -kd), 1))
    assert np.array_equal(model.actuator_forcerange, np.stack((-force, force), 1))
    assert (model.dof_armature == 0.1).all()
    assert (model.dof_damping == 5).all()


def test_places_in_the_pose_of_the_sources(model):
    data = mujoco.MjData(model)
    data.qpos[:] = POSE
    mujoco.mj_forward(model, data)
    assert np.allclose(data.body("link7").xpos, (0, 0.678, 0.371), atol=5e-4)
    left, right = (data.body(name).xpos for name in FINGERS)
    assert np.linalg.norm(left - right) == pytest.approx(0.08)
    for slide in (0.0, 0.03, 0.08):
        data.qpos[7:] = slide
        mujoco.mj_forward(model, data)
        tips = [data.site(f"{name}tip").xpos for name in FINGERS]
        assert np.linalg.norm(tips[0] - tips[1]) == pytest.approx(2 * slide + 0.01)


@pytest.mark.parametrize("target", [POSE, (0.5, 1.2, 0.4, -2.5, -0.3, 2.5, 1.0, 0.08, 0.08)])
def test_servos_hold_what_is_commanded(model, target):
    data = mujoco.MjData(model)
    data.qpos[:] = POSE
    data.ctrl[:] = target
    for _ in range(1000):
        mujoco.mj_step(model, data)
    assert np.abs(data.qpos - target).max() < 1e-4
    assert np.abs(data.qvel).max() < 1e-3


def test_fingers_open_alike_when_one_is_held(model):
    data = mujoco.MjData(model)
    data.qpos[:] = POSE
    data.ctrl[:] = (*POSE[:7], 0.08, 0.0)
    for _ in range(1000):
        mujoco.mj_step(model, data)
    assert data.qpos[7] == pytest.approx(data.qpos[8], abs=2e-3)


def test_the_arm_without_fingers():
    model = panda(fingers=False).compile()
    assert [model.joint(i).name for i in range(model.njnt)] == list(JOINTS)
    assert (model.nq, model.nv, model.nu, model.neq) == (7, 7, 7, 0)
    assert model.body("hand").mass[0] == pytest.approx(0.871268, rel=1e-5)
    solid = [model.geom(i).name for i in range(model.ngeom) if model.geom_conaffinity[i]]
    assert solid == ["hand"]
