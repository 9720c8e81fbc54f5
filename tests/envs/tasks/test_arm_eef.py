"""The floating hand: model, state, starts and goals; and that a script puts the cube from one bin into the other."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.tasks.arm_eef import ArmBinpickEef

NAME = "arm_binpick_easy_eef"


def _starts(task, num=4000):
    return task.sample_start(num, torch.Generator().manual_seed(0))


def test_the_model_has_the_numbers_of_the_source():
    task = ArmBinpickEef()
    model = task.model
    assert (model.nq, model.nv, model.nu) == (12, 11, 5)
    assert task.ctrl_dt == pytest.approx(0.05)
    assert model.opt.impratio == 10
    assert np.allclose(model.jnt_range[:3], [(-0.4, 0.4), (0.35, 0.85), (0, 0.3)])
    assert not model.dof_damping[:3].any()
    assert not model.dof_armature[:3].any()
    assert model.actuator_gainprm[:3, 0].tolist() == [1000] * 3
    assert model.actuator_biasprm[:3, 1:3].tolist() == [[-1000, -100]] * 3
    assert model.actuator_forcerange[:3].tolist() == [[-87, 87]] * 3
    assert (task.spec.state_dim, task.spec.action_dim, task.spec.goal_indices) == (10, 4, (0, 1, 2))


def test_the_slides_are_the_hands_place_in_the_world_and_its_fingers_point_down(make, actions):
    envs = make(NAME, num_envs=2)
    envs.reset()
    state = [envs.step(action).next_state for action in actions(envs, 6)][-1]
    for row in range(2):
        data = envs.data(row)
        assert np.allclose(state[row, 3:6], data.body("robot/hand").xpos, atol=1e-6)
        assert np.allclose(state[row, :3], data.body("cube").xpos, atol=1e-6)
        assert np.allclose(state[row, 6:9], data.qvel[:3], atol=1e-6)
        left, right = (data.body(f"robot/{side}_finger").xpos for side in ("left", "right"))
        assert state[row, 9] == pytest.approx(np.linalg.norm(left - right), abs=1e-5)
        assert data.body("robot/hand").xmat.reshape(3, 3)[:, 2].tolist() == pytest.approx([0, 0, -1])
        if state[row, 9] > 1e-3:
            assert abs(left - right)[1:].max() < 1e-6


def test_actions_move_the_target_away_from_the_hand(make):
    envs = make(NAME, num_envs=2)
    hand = envs.reset().state[:, 3:6].double()
    action = torch.tensor([[1.0, -0.5, 0.25, 1.0], [-3.0, 0.0, 0.0, 0.0]])
    control = envs.task.control(envs.physics, action)
    assert torch.allclose(control[:, :3] - hand, torch.tensor([[0.2, -0.1, 0.05], [-0.2, 0, 0]]).double(), atol=1e-6)
    assert torch.allclose(control[:, 3:].float(), torch.tensor([[0.0, 0], [0.08, 0.08]]))


def test_starts_and_goals_are_uniform_around_their_centres():
    start = _starts(ArmBinpickEef())
    hand, cube, goal = start.qpos[:, :3], start.qpos[:, 5:8], start.goal.double()
    for points, centre, noise in (
        (hand, (0, 0.6, 0.2), 0.005),
        (cube[:, :2], (-0.17, 0.6), 0.07),
        (goal[:, :2], (0.17, 0.6), 0.005),
    ):
        for axis, middle in enumerate(centre):
            # goals are float32: tested to its precision
            spread = "uniform", (middle - noise, 2 * noise)
            assert stats.kstest(points[:, axis].numpy(), spread[0], args=spread[1]).pvalue > 1e-3
    assert torch.allclose(cube[:, 2], torch.tensor(0.03).double())
    assert torch.allclose(goal[:, 2], torch.tensor(0.03).double())
    assert not start.qvel.any()


def test_a_script_puts_the_cube_into_the_other_bin(make):
    envs = make(NAME, num_envs=4)
    observation = envs.reset()
    cube, goal = observation.state[:, :3].clone(), observation.goal
    above, at = torch.tensor([0, 0, 0.25]), torch.tensor([0, 0, 0.13])
    up = torch.tensor([0, 0, 0.26])
    script = ((cube, above, -1, 15), (cube, at, -1, 15), (cube, at, 1, 15), (cube, up, 1, 15), (goal, up, 1, 25))
    state, lifted = observation.state, torch.zeros(4)
    for place, offset, gripper, steps in (*script, (goal, at, 1, 15), (goal, at, -1, 15)):
        for _ in range(steps):
            target = (place + offset).clamp(max=torch.tensor([0.4, 0.85, 0.29]))
            move = (0.4 * (target - state[:, 3:6]) / 0.2).clamp(-1, 1)
            state = envs.step(torch.cat((move, torch.full((4, 1), float(gripper))), dim=1)).next_state
            lifted = torch.maximum(lifted, state[:, 2])
    assert (lifted > 0.1).all()
    last = envs.step(torch.zeros(4, 4))
    assert last.success.all()
    assert (last.distance < 0.03).all()
    assert envs.num_unstable == 0


def test_the_fence_holds_the_cube_and_lets_the_hand_through(make):
    envs = make(NAME, num_envs=2)
    envs.reset()
    qpos, qvel = envs.physics.field("qpos"), envs.physics.field("qvel")
    qpos[:, 5:8] = torch.tensor([0.36, 0.8, 0.1]).double()
    qvel[:, 5] = 1.0
    model = envs.task.model
    for name in ("robot/hand", "robot/left_finger", "robot/right_finger"):
        for number in range(4):
            fence, part = model.geom(f"fence_{number}").id, model.geom(name).id
            assert not model.geom_contype[fence] & model.geom_conaffinity[part]
    state = [envs.step(torch.zeros(2, 4)).next_state for _ in range(10)][-1]
    assert (state[:, 0] < 0.37).all()


@pytest.mark.parametrize("name", ["noise", "goal_noise", "reset_noise"])
def test_bad_hyperparameters_are_named(name):
    with pytest.raises(ValueError, match=f"^{name} must be at least 0, got -1"):
        ArmBinpickEef(**{name: -1.0})
    with pytest.raises(ValueError, match="success_radius must be greater than 0, got 0"):
        ArmBinpickEef(success_radius=0.0)
    with pytest.raises(ValueError, match=r"bin_size must be at least 0.3, got 0.27"):
        ArmBinpickEef(goal_noise=0.12)
