"""The engine MuJoCo Warp, on its CPU device: live fields, steps, resets, state, and vector environments on it."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import importlib.util

import mujoco
import numpy as np
import pytest
import torch
import warp as wp

from deepcrl.envs.physics.engines import check, make_physics
from deepcrl.envs.physics.mujoco_warp import MujocoWarp
from deepcrl.envs.physics.sizing import Bounds
from deepcrl.envs.robots.ant import INIT_QPOS
from deepcrl.envs.scenes.arena import arena
from deepcrl.envs.settings import EnvInputs
from deepcrl.envs.tasks.ant import Ant
from deepcrl.envs.vector import TaskVectorEnv

FEET = torch.tensor([0.0, 0, 0.55, *INIT_QPOS[3:]])
"""An ant whose four feet are in the floor."""


def build(model: mujoco.MjModel | None = None, num_sims: int = 3) -> MujocoWarp:
    return MujocoWarp(model or Ant().model, num_sims, torch.device("cpu"))


@pytest.fixture
def physics() -> MujocoWarp:
    built = build()
    built.field("qpos")[:] = torch.tensor(INIT_QPOS)
    return built


def vector(num_envs: int = 4, seed: int = 0, episode_length: int = 12) -> TaskVectorEnv:
    inputs = EnvInputs(num_envs=num_envs, episode_length=episode_length, seed=seed, physics="mujoco_warp")
    return TaskVectorEnv(Ant(), inputs)


def test_fields_are_live_and_shared(physics):
    qpos = physics.field("qpos")
    assert physics.field("qpos").data_ptr() == qpos.data_ptr()
    assert (qpos.shape, qpos.dtype, qpos.device.type) == ((3, 15), torch.float32, "cpu")
    qpos[1, 2] = 3.0
    assert not physics.step(1, False).any()
    assert qpos[1, 2] < 3.0
    with pytest.raises(ValueError, match=r"Unknown field 'qposs'. Did you mean 'qpos'"):
        physics.field("qposs")
    with pytest.raises(ValueError, match="Unknown field 'contact'"):
        physics.field("contact")


def test_fields_have_the_shapes_of_mujoco(physics):
    data = mujoco.MjData(physics.model)
    for name in ("time", "xpos", "xmat", "cinert", "cvel", "sensordata", "mocap_pos", "qfrc_actuator", "geom_xmat"):
        assert physics.field(name).shape == (3, *np.shape(getattr(data, name))), name


def test_derived_fields_lag_by_a_substep_unless_asked(physics):
    torso = physics.model.body("robot/torso").id
    xpos, qpos = physics.field("xpos"), physics.field("qpos")
    before = qpos[:, :3].clone()
    physics.step(1, False)
    assert torch.equal(xpos[:, torso], before)
    assert not torch.equal(xpos[:, torso], qpos[:, :3])
    physics.step(1, True)
    assert torch.equal(xpos[:, torso], qpos[:, :3])


def test_a_derived_field_is_right_when_first_asked_for(physics):
    torso = physics.model.body("robot/torso").id
    assert torch.equal(physics.field("xpos")[:, torso], physics.field("qpos")[:, :3])


def test_substeps_are_steps_one_after_the_other(physics):
    physics.field("ctrl")[:] = 0.5
    other = build()
    other.set_state(physics.get_state())
    physics.step(5, False)
    for _ in range(5):
        other.step(1, False)
    assert torch.equal(physics.get_state(), other.get_state())


def test_reset_touches_only_its_ids(physics):
    physics.step(3, False)
    moved = physics.get_state()
    physics.reset(torch.tensor([0, 2]))
    assert torch.equal(physics.get_state()[1], moved[1])
    assert torch.allclose(physics.field("time"), torch.tensor([0.0, 0.03, 0.0]))
    assert torch.equal(physics.field("qpos")[0], torch.tensor(physics.model.qpos0).float())


def test_forward_computes_the_derived_fields(physics):
    torso, xpos = physics.model.body("robot/torso").id, physics.field("xpos")
    physics.field("qpos")[:, 0] += 1
    physics.forward(torch.tensor([1]))
    assert torch.equal(xpos[1, torso], physics.field("qpos")[1, :3])


def test_the_state_after_a_reset_is_that_of_mujoco(physics):
    physics.field("ctrl")[:] = 1.0
    physics.step(3, False)
    physics.reset(torch.arange(3))
    expected = make_physics("mujoco", physics.model, 3, 1).get_state()
    assert torch.equal(physics.get_state(), expected.float())


def test_state_is_everything(physics):
    physics.field("qpos")[:] = FEET
    physics.field("ctrl")[:] = torch.rand(3, 8, generator=torch.Generator().manual_seed(0))
    physics.step(7, False)
    other = build()
    other.field("qpos")[:, 2] = 0.3
    other.step(4, False)
    other.set_state(physics.get_state())
    physics.step(20, False)
    other.step(20, False)
    assert torch.equal(physics.get_state(), other.get_state())


def test_simulations_do_not_depend_on_their_neighbours(physics):
    """Contacts of all simulations lie in one array, in an order that must not matter."""
    physics.field("qpos")[:] = FEET
    physics.field("ctrl")[:] = torch.rand(3, 8, generator=torch.Generator().manual_seed(0))
    alone = build(num_sims=1)
    alone.set_state(physics.get_state()[1:2])
    physics.step(20, False)
    alone.step(20, False)
    assert torch.equal(physics.get_state()[1:2], alone.get_state())


def test_data_is_a_forwarded_copy(physics):
    physics.field("qpos")[:] = FEET
    physics.step(2, False)
    data = physics.data(1)
    assert torch.equal(torch.tensor(data.qpos).float(), physics.field("qpos")[1])
    assert data.ncon == 4
    data.qpos[:] = 0
    assert physics.field("qpos")[1].any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e12])
def test_instability_is_reported_and_stays_alone(physics, value):
    twin = build()
    twin.set_state(physics.get_state())
    physics.field("qvel")[2, 0] = value
    twin.step(2, False)
    assert physics.step(2, False).tolist() == [False, False, True]
    assert torch.equal(physics.get_state()[:2], twin.get_state()[:2])
    physics.reset(torch.tensor([2]))
    assert not physics.step(2, False).any()


def test_too_many_constraints_make_a_simulation_unstable_until_it_is_reset(monkeypatch, capfd):
    monkeypatch.setattr("deepcrl.envs.physics.mujoco_warp.bounds", lambda model: Bounds(8, 0, 10))
    cramped = build()
    cramped.field("qpos")[:] = torch.tensor(INIT_QPOS)
    cramped.field("qpos")[1] = FEET  # 4 pyramids of 4 sides
    assert cramped.step(1, False).tolist() == [False, True, False]
    assert "nefc overflow" in capfd.readouterr().out
    cramped.reset(torch.tensor([1]))
    cramped.field("qpos")[1] = torch.tensor(INIT_QPOS)
    assert not cramped.step(1, False).any()


@pytest.mark.slow
def test_computing_derived_fields_keeps_sensors_of_forces():
    scene = arena()
    body = scene.worldbody.add_body(name="ball", pos=(0, 0, 0.99))
    body.add_joint(name="slide", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(0, 0, 1))
    body.add_geom(size=(1, 0, 0), contype=1, conaffinity=1)
    body.add_site(name="skin", size=(2, 0, 0))
    scene.add_sensor(type=mujoco.mjtSensor.mjSENS_TOUCH, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="skin")
    scene.add_sensor(type=mujoco.mjtSensor.mjSENS_JOINTPOS, objtype=mujoco.mjtObj.mjOBJ_JOINT, objname="slide")
    both = [make_physics(name, scene.compile(), 2, 1) for name in ("mujoco", "mujoco_warp")]
    for physics in both:
        physics.step(3, True)
    expected, measured = (physics.field("sensordata").float() for physics in both)
    assert (expected[:, 0] > 10).all()
    assert torch.allclose(measured, expected, rtol=1e-4)
    assert torch.equal(measured[:, 1], both[1].field("qpos")[:, 0])


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("solver", mujoco.mjtSolver.mjSOL_PGS, "mjSOL_PGS is unsupported"),
        ("enableflags", mujoco.mjtEnableBit.mjENBL_FWDINV, "mjENBL_FWDINV is unsupported"),
    ],
)
def test_an_option_that_warp_lacks_is_refused_in_one_line(option, value, message):
    spec = Ant().build()
    setattr(spec.option, option, value)
    with pytest.raises(ValueError, match=f"^physics=mujoco_warp cannot simulate this model: {message}") as raised:
        build(spec.compile())
    assert "\n" not in str(raised.value)


def test_a_missing_package_is_named_before_anything_else(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mujoco_warp" else find(name))
    message = r"^physics=mujoco_warp: the package mujoco-warp is not installed; pip install 'deepcrl\[warp\]'$"
    with pytest.raises(ValueError, match=message):
        check("mujoco_warp")
    with pytest.raises(ValueError, match=message):
        make_physics("mujoco_warp", Ant().model, 1, 1)
    check("mujoco")


def test_same_seed_same_rollout(actions, assert_same):
    one, other, third = vector(seed=3), vector(seed=3), vector(seed=4)
    assert torch.equal(one.reset().state, other.reset().state)
    assert not torch.equal(one.reset().state, third.reset().state)
    other.reset()
    for action in actions(one, 40):
        assert_same(one.step(action), other.step(action))


def test_a_checkpoint_goes_on_bit_exactly_in_the_middle_of_an_episode(actions, assert_same):
    envs, other = vector(), vector(seed=9)
    envs.reset()
    acts = actions(envs, 40)
    for action in acts[:17]:
        envs.step(action)
    saved = envs.state_dict()
    expected = [envs.step(action) for action in acts[17:]]
    other.load_state_dict(saved)
    for action, step in zip(acts[17:], expected, strict=True):
        assert_same(step, other.step(action))


def test_an_unstable_simulation_is_reset_and_the_others_go_on(actions):
    envs = vector(num_envs=3, episode_length=1000)
    before = envs.reset().state
    envs.physics.field("qvel")[1, 0] = float("nan")
    step = envs.step(actions(envs, 1)[0])
    assert step.truncated.tolist() == [False, True, False]
    assert torch.equal(step.next_state[1], before[1])
    assert step.observation.state.isfinite().all()
    assert envs.num_unstable == 1


def test_a_step_copies_nothing_to_numpy(actions, monkeypatch):
    envs = vector()
    envs.reset()
    acts = actions(envs, 30)
    envs.step(acts[0])  # compiles and records

    def refuse(*_: object) -> None:
        raise AssertionError("a copy to the host")

    for owner, name in ((torch.Tensor, "numpy"), (torch.Tensor, "__array__"), (wp.array, "numpy")):
        monkeypatch.setattr(owner, name, refuse)
    for action in acts[1:]:
        envs.step(action)  # with resets: episodes take 12 steps


def test_the_picture_is_of_the_simulation(actions):
    envs = vector()
    goal = envs.reset().goal
    data = envs.data(2)
    assert torch.equal(torch.tensor(data.qpos).float(), envs.physics.field("qpos")[2])
    assert torch.equal(torch.tensor(data.mocap_pos[0, :2]).float(), goal[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="runs on a machine with a CUDA GPU")
def test_a_gpu_steps_as_the_cpu_does(actions):
    gpu = MujocoWarp(Ant().model, 3, torch.device("cuda"))
    cpu = build()
    for physics in (cpu, gpu):
        physics.field("qpos")[:] = torch.tensor(INIT_QPOS, device=physics.device)
        assert not physics.step(5, True).any()
    assert torch.allclose(gpu.get_state().cpu(), cpu.get_state(), atol=1e-4)
