"""The arm with a cube: models, states, starts and goals; and that the cube can be pushed, and bins hold it."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.robots.panda import JOINTS
from deepcrl.envs.scenes.labels import angles
from deepcrl.envs.tasks.arm import DRIVEN
from deepcrl.envs.tasks.arm_cube import ArmBinpick, ArmPush

PLACES = {
    "arm_push_easy": ((-0.1, 0.6), (0.1, 0.6), 0.1),
    "arm_push_hard": ((-0.25, 0.65), (0.25, 0.65), 0.25),
    "arm_binpick_easy": ((-0.17, 0.6), (0.17, 0.6), 0.09),
    "arm_binpick_hard": ((-0.3, 0.6), (0.3, 0.6), 0.15),
}
"""Centres of the cube's starts and of its goals, and how far both are from them, in metres."""
each_task = pytest.mark.parametrize("name", sorted(PLACES))


def _starts(task, num=4000):
    return task.sample_start(num, torch.Generator().manual_seed(0))


@each_task
def test_models_have_the_numbers_of_the_source(name, make):
    task = make(name).task
    model = task.model
    assert (model.nq, model.nv, model.nu) == (16, 15, 9)
    assert task.ctrl_dt == pytest.approx(0.05)
    assert model.opt.timestep == 0.002
    assert model.opt.impratio == (10 if "binpick" in name else 1)
    assert model.body("cube").mass[0] == pytest.approx(0.216)
    assert model.geom("cube").size.tolist() == [0.03] * 3
    assert (task.spec.state_dim, task.spec.action_dim, task.spec.goal_indices) == (17, 5, (0, 1, 2))
    assert task.goal_labels == ("cube x (m)", "cube y (m)", "cube z (m)")
    assert task.success_radius == 0.1


@pytest.mark.parametrize(("name", "x", "outer"), [("arm_binpick_easy", 0.17, 0.29), ("arm_binpick_hard", 0.3, 0.39)])
def test_bins_are_where_the_source_has_them(name, x, outer, make):
    model = make(name).task.model
    for side, centre in (("start", -x), ("goal", x)):
        walls = [model.geom(f"{side}_bin_{number}") for number in range(4)]
        low = np.min([wall.pos - wall.size for wall in walls], axis=0)
        high = np.max([wall.pos + wall.size for wall in walls], axis=0)
        assert np.allclose((low + high) / 2, (centre, 0.6, 0.033))
        assert np.allclose(high - low, (outer, outer, 0.066))
        assert sorted(wall.size[0] for wall in walls)[0] == pytest.approx(0.005)


def test_what_touches_what(make):
    """The cube touches table, bins, hand and fingers; hand and fingers also the table and the bins; links nothing."""
    model = make("arm_binpick_easy").task.model

    def touch(a: str, b: str) -> bool:
        a, b = model.geom(a).id, model.geom(b).id
        types, affinities = model.geom_contype, model.geom_conaffinity
        return bool(types[a] & affinities[b] or types[b] & affinities[a])

    moving = ("cube", "robot/hand", "robot/left_finger", "robot/right_finger")
    for name in moving:
        assert touch(name, "floor")
        assert touch(name, "goal_bin_2")
    for name in moving[1:]:
        assert touch("cube", name)
    named = {model.geom(name).id for name in moving} | {
        model.geom(f"{side}_bin_{number}").id for side in ("start", "goal") for number in range(4)
    }
    others = set(range(model.ngeom)) - named - {model.geom("floor").id}
    assert not any(model.geom_contype[g] or model.geom_conaffinity[g] for g in others)


def test_the_state_is_what_its_labels_say(make, actions):
    envs = make("arm_push_easy", num_envs=3)
    assert envs.task.state_labels[3:10] == angles(JOINTS)
    envs.reset()
    state = [envs.step(action).next_state for action in actions(envs, 10)][-1]
    model = envs.task.model
    for row in range(3):
        data = envs.data(row)
        jacobian = np.zeros((3, model.nv))
        mujoco.mj_jacBody(model, data, jacobian, None, model.body("robot/link7").id)
        left, right = (data.body(f"robot/{side}_finger").xpos for side in ("left", "right"))
        parts = (data.body("cube").xpos, data.qpos[:7], data.body("robot/link7").xpos, jacobian @ data.qvel)
        assert np.allclose(state[row, :16], np.concatenate(parts), atol=1e-5)
        assert state[row, 16] == pytest.approx(np.linalg.norm(left - right), abs=1e-5)


@each_task
def test_cubes_and_goals_are_uniform_in_their_squares_and_lie_on_the_table(name, make):
    start = _starts(make(name).task)
    *centres, noise = PLACES[name]
    cube, goal = start.qpos[:, 9:12], start.goal.double()
    for points, centre in zip((cube, goal), centres, strict=True):
        for axis in range(2):
            low = centre[axis] - noise
            assert stats.kstest(points[:, axis].numpy(), "uniform", args=(low, 2 * noise)).pvalue > 1e-3
        assert torch.allclose(points[:, 2], torch.tensor(0.03).double())
    together = np.corrcoef(np.concatenate((cube[:, :2], goal[:, :2]), axis=1).T)
    assert np.abs(together - np.eye(4)).max() < 0.07
    assert torch.equal(start.qpos[:, 12:], torch.tensor([[1.0, 0, 0, 0]]).double().expand(4000, 4))
    assert (start.qpos[:, 7:9] == 0.04).all()
    assert not start.qvel.any()


@each_task
def test_the_cube_rests_and_nothing_overlaps_at_the_start(name, make):
    envs = make(name, num_envs=32, task={"reset_noise": 0.0})
    first = envs.reset().state[:, :3]
    for row in range(32):
        contacts = envs.data(row).contact
        assert all(contact.dist > -1e-6 for contact in contacts)
    hold = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0])
    for entry, joint in enumerate(DRIVEN):
        low, high = DRIVEN[joint]
        hold[entry] = 2 * (envs.physics.field("qpos")[0, joint].float() - low) / (high - low) - 1
    state = [envs.step(hold.expand(32, 5)).next_state for _ in range(20)][-1]
    assert (state[:, :3] - first).abs().max() < 2e-3
    assert (state[:, 10:13] - torch.tensor([0.0, 0.678, 0.371])).abs().max() < 2e-3


def test_the_gripper_opens_and_closes(make):
    envs = make("arm_push_easy", num_envs=3)
    envs.reset()
    action = torch.zeros(3, 5)
    action[:, 3] = 0.3
    action[:, 4] = torch.tensor([0.01, 0.0, -1.0])
    step = [envs.step(action) for _ in range(40)][-1]
    assert step.next_state[:, 16].tolist() == pytest.approx([0.0, 0.16, 0.16], abs=1e-3)


def test_success_is_of_the_state_after_the_step(make):
    envs = make("arm_push_easy", num_envs=3)
    goal = envs.reset().goal.double()
    qpos = envs.physics.field("qpos")
    qpos[:, 9:12] = goal
    qpos[1, 9] += 0.09
    qpos[2, 9] += 0.11
    step = envs.step(torch.zeros(3, 5))
    assert step.success.tolist() == [True, True, False]
    assert step.distance.tolist() == pytest.approx([0.0, 0.09, 0.11], abs=2e-3)


def test_a_sweeping_hand_pushes_the_cube_to_its_goal(make, fingers_down):
    envs = make("arm_push_easy", num_envs=1, task={"noise": 0.0})
    envs.reset()
    model = envs.task.model
    beside = [fingers_down(model, (-0.25, 0.55, z), 1.0) for z in (0.12, 0.04)]
    swept = [fingers_down(model, (x, 0.6, 0.04), 1.0) for x in np.linspace(-0.25, 0.01, 30)]
    step = [envs.step(action[None]) for action in (beside[0],) * 20 + (beside[1],) * 20][-1]
    assert step.next_state[0, :2].tolist() == pytest.approx([-0.1, 0.6], abs=1e-3)
    assert not step.success.any()
    step = [envs.step(action[None]) for action in (*swept, *[swept[-1]] * 10)][-1]
    assert step.success.all()
    assert step.next_state[0, 2] == pytest.approx(0.03, abs=5e-3)
    assert envs.num_unstable == 0


def test_walls_hold_the_cube(make):
    envs = make("arm_binpick_easy", num_envs=4)
    envs.reset()
    pushes = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]).double()
    for _ in range(40):
        envs.physics.field("qvel")[:, 9:11] = pushes
        envs.step(torch.zeros(4, 5))
    state = envs.task.state(envs.physics)
    inner = 0.135 - 0.03
    assert (state[:, 0] + 0.17).abs().max() < inner + 0.005
    assert (state[:, 1] - 0.6).abs().max() < inner + 0.005
    assert ((state[:, :2] - torch.tensor([-0.17, 0.6])).abs().amax(1) > inner - 0.005).all()


def test_bad_hyperparameters_are_named():
    with pytest.raises(ValueError, match="offset must be at least 0, got -1"):
        ArmPush(offset=-1.0)
    with pytest.raises(ValueError, match="centre_y must be greater than 0, got 0"):
        ArmPush(centre_y=0.0)
    with pytest.raises(ValueError, match="noise must be at least 0, got -1"):
        ArmPush(noise=-1.0)
    with pytest.raises(ValueError, match=r"bin_size must be at least 0.3, got 0.27"):
        ArmBinpick(noise=0.12)
    with pytest.raises(ValueError, match=r"offset must be at least 0.145, got 0.1"):
        ArmBinpick(offset=0.1)
