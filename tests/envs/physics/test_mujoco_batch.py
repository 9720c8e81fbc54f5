"""The engine mujoco.batch: live fields, steps, resets, state."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from deepcrl.envs.physics.engines import make_physics
from deepcrl.envs.robots.ant import INIT_QPOS
from deepcrl.envs.tasks.ant import Ant


@pytest.fixture
def physics():
    built = make_physics("mujoco", Ant().model, 3, 2)
    built.field("qpos")[:] = torch.tensor(INIT_QPOS, dtype=torch.float64)
    return built


def test_fields_are_live_and_shared(physics):
    qpos = physics.field("qpos")
    assert physics.field("qpos").data_ptr() == qpos.data_ptr()
    assert qpos.shape == (3, 15)
    qpos[1, 2] = 3.0
    unstable = physics.step(1, False)
    assert not unstable.any()
    assert qpos[1, 2] < 3.0
    assert physics.field("xpos").shape == (3, physics.model.nbody, 3)
    with pytest.raises(ValueError, match="qposs"):
        physics.field("qposs")


def test_derived_fields_lag_by_a_substep_unless_asked(physics):
    torso = physics.model.body("robot/torso").id
    xpos, qpos = physics.field("xpos"), physics.field("qpos")
    before = qpos[:, :3].clone()
    physics.step(1, False)
    assert torch.allclose(xpos[:, torso], before)
    physics.step(1, True)
    assert torch.allclose(xpos[:, torso], qpos[:, :3], atol=1e-12)


def test_a_derived_field_is_right_when_first_asked_for(physics):
    torso = physics.model.body("robot/torso").id
    assert torch.allclose(physics.field("xpos")[:, torso], physics.field("qpos")[:, :3])


def test_reset_and_forward_touch_only_their_ids(physics):
    physics.step(3, False)
    moved = physics.get_state()
    physics.reset(torch.tensor([0, 2]))
    assert torch.equal(physics.get_state()[1], moved[1])
    assert torch.equal(physics.field("time"), torch.tensor([0.0, 0.03, 0.0], dtype=torch.float64))
    assert torch.equal(physics.field("qpos")[0], torch.as_tensor(physics.model.qpos0))
    xpos = physics.field("xpos")
    stale = xpos.clone()
    physics.field("qpos")[:, 0] += 1
    physics.forward(torch.tensor([1]))
    assert torch.equal(xpos[[0, 2]], stale[[0, 2]])
    assert not torch.equal(xpos[1], stale[1])


def test_reset_is_that_of_mujoco(physics):
    physics.field("ctrl")[:] = 1.0
    physics.step(3, False)
    physics.reset(torch.arange(3))
    fresh = mujoco.MjData(physics.model)
    full = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    expected = np.empty(mujoco.mj_stateSize(physics.model, full))
    mujoco.mj_getState(physics.model, fresh, expected, full)
    assert torch.equal(physics.get_state(), torch.from_numpy(expected).expand(3, -1))


def test_state_is_everything(physics):
    other = make_physics("mujoco", physics.model, 3, 1)
    physics.field("ctrl")[:] = 0.5
    physics.step(7, False)
    other.set_state(physics.get_state())
    physics.step(20, False)
    other.step(20, False)
    assert torch.equal(physics.get_state(), other.get_state())


def test_data_is_a_forwarded_copy(physics):
    physics.field("qpos")[:, 2] = 0.55
    physics.step(2, False)
    data = physics.data(1)
    assert torch.equal(torch.tensor(data.qpos), physics.field("qpos")[1])
    assert data.ncon == 4
    data.qpos[:] = 0
    assert physics.field("qpos")[1].any()


def test_instability_is_reported_until_reset(physics, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MuJoCo writes its log of warnings
    physics.field("qvel")[2, 0] = float("inf")
    assert physics.step(2, False).tolist() == [False, False, True]
    assert physics.step(2, False).tolist() == [False, False, True]
    physics.reset(torch.tensor([2]))
    assert not physics.step(2, False).any()


def test_restoring_a_good_state_ends_an_instability(physics, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MuJoCo writes its log of warnings
    good = physics.get_state()
    physics.field("qpos")[0, 2] = float("nan")
    assert physics.step(1, False).tolist() == [True, False, False]
    physics.set_state(good)
    assert not physics.step(1, False).any()


def test_unknown_engine():
    with pytest.raises(ValueError, match="Did you mean 'mujoco'"):
        make_physics("mujoc", Ant().model, 1, 1)


def test_models_are_not_shared_state(physics):
    assert isinstance(physics.model, mujoco.MjModel)
    assert physics.device == torch.device("cpu")
    assert physics.num_sims == 3


def test_an_unstable_simulation_leaves_no_log_where_the_user_stands(physics, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    physics.field("qvel")[1:, 0] = float("nan")
    assert physics.step(5, False).tolist() == [False, True, True]
    assert list(tmp_path.iterdir()) == []


def test_a_user_s_own_warning_handler_stays():
    mine = lambda warning: None  # noqa: E731
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(mine)
    try:
        make_physics("mujoco", Ant().model, 1, 1)
        assert mujoco.get_mju_user_warning() is mine
    finally:
        mujoco.set_mju_user_warning(before)
