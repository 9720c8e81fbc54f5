"""The ant's numbers against those of ant.xml in scaling-crl."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import pytest

from deepcrl.envs.robots.ant import ACTUATORS, INIT_QPOS, JOINTS, ant
from deepcrl.envs.tasks.ant import Ant, AntMaze


@pytest.fixture(scope="module")
def model():
    return Ant().model


def test_a_fresh_spec_each_time():
    one, other = ant(), ant()
    one.body("torso").name = "changed"
    assert other.body("torso") is not None
    assert one is not other


def test_order_of_joints_and_actuators(model):
    assert [model.joint(j).name for j in range(model.njnt)] == ["robot/root", *(f"robot/{j}" for j in JOINTS)]
    assert [model.actuator(a).name for a in range(model.nu)] == [f"robot/{a}" for a in ACTUATORS]
    targets = [model.joint(model.actuator(a).trnid[0]).name for a in range(model.nu)]
    assert targets == [f"robot/{a}" for a in ACTUATORS]
    assert model.jnt_limited.tolist() == [0] + [1] * 8
    assert model.actuator_ctrllimited.all()
    assert not model.dof_armature[:6].any()
    assert not model.dof_damping[:6].any()


def test_options(model):
    assert model.opt.timestep == 0.01
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    assert (model.opt.iterations, model.opt.ls_iterations) == (4, 8)


def test_feet_are_where_the_source_puts_them(model):
    """At the source's height of 0.55 they would be 0.006 m in the floor; here the ant starts 0.2 m higher."""
    data = mujoco.MjData(model)
    data.qpos[:] = INIT_QPOS
    mujoco.mj_forward(model, data)
    shins = [model.geom(f"robot/shin_{i}") for i in range(1, 5)]
    tips = [data.geom_xpos[g.id] + g.size[1] * data.geom_xmat[g.id].reshape(3, 3)[:, 2] for g in shins]
    other = [data.geom_xpos[g.id] - g.size[1] * data.geom_xmat[g.id].reshape(3, 3)[:, 2] for g in shins]
    lowest = [min(a[2], b[2]) - 0.08 for a, b in zip(tips, other, strict=True)]
    assert lowest == pytest.approx([0.194] * 4, abs=5e-4)


def _pairs(model):
    """Names of the geoms that can touch."""
    pairs = set()
    for a in range(model.ngeom):
        for b in range(a):
            hit = (model.geom_contype[a] & model.geom_conaffinity[b]) | (
                model.geom_contype[b] & model.geom_conaffinity[a]
            )
            if hit and model.geom_bodyid[a] != model.geom_bodyid[b]:
                pairs.add(frozenset((model.geom(a).name.rstrip("0123456789"), model.geom(b).name.rstrip("0123456789"))))
    return pairs


def test_contacts(model):
    shin = frozenset(("floor", "robot/shin_"))
    assert _pairs(model) == {shin}
    walls = {frozenset(("wall_", part)) for part in ("robot/torso", "robot/hip_", "robot/shin_")}
    assert _pairs(AntMaze().model) == {shin} | walls
