"""The pusher's tasks: models, states, starts and goals, distances, and that the fork can push."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.core.components import ENVS
from deepcrl.envs.tasks.pusher import (
    NEAR_GOALS,
    OBJECTS,
    PLANE,
    TABLE,
    TWO,
    WIDE_GOALS,
    Pusher,
    PusherReacher,
    PusherTwo,
)

NAMES = ("pusher_easy", "pusher_hard", "pusher_reacher", "pusher2")


def _starts(task, num=4000):
    return task.sample_start(num, torch.Generator().manual_seed(0))


def _inside(points, box):
    low, high = torch.tensor(box).double().split(2)
    return bool(((points >= low) & (points <= high)).all())


def _slow_draws(boxes, apart, num):
    """Draws one by one, each again until it fits: [num, len(boxes), 2]."""
    rng, rows = np.random.default_rng(1), []
    while len(rows) < num:
        row = [rng.uniform(box[:2], box[2:]) for box in boxes]
        if all(np.linalg.norm(row[i] - row[j]) >= 0.17 for i, j in apart):
            rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("name", NAMES)
def test_models_have_the_numbers_of_the_source(name, make):
    task = make(name).task
    objects = {"pusher_reacher": 0, "pusher2": 2}.get(name, 1)
    model = task.model
    assert (model.nq, model.nv, model.nu) == (7 + 2 * objects,) * 2 + (7,)
    assert not model.opt.gravity.any()
    assert task.ctrl_dt == pytest.approx(0.05)
    assert model.opt.timestep == 0.01
    assert model.geom("floor").pos[2] == TABLE == -0.325
    assert task.spec.state_dim == 17 + 3 * objects
    assert task.success_radius == 0.1
    for name in ("object", "object2")[:objects]:
        # Equal to the source's 0.0018 kg on slides with an armature of 0.04 kg
        assert model.body(name).mass[0] == pytest.approx(0.0418)
        assert model.geom(name).size[:2].tolist() == pytest.approx([0.05, 0.05])
        assert model.dof_damping[model.joint(f"{name}_x").dofadr[0]] == 0.5
        assert model.dof_armature[model.joint(f"{name}_x").dofadr[0]] == 0


def test_goals_are_the_objects_places_or_the_forks():
    assert Pusher().goal_labels == ("object x (m)", "object y (m)", "object z (m)")
    assert PusherTwo().goal_labels == tuple(f"{name} {axis} (m)" for name in ("object", "object2") for axis in "xyz")
    assert PusherReacher().goal_labels == ("fork x (m)", "fork y (m)", "fork z (m)")


def test_the_state_is_what_its_labels_say(make, actions):
    envs = make("pusher2", num_envs=3)
    envs.reset()
    state = [envs.step(action).next_state for action in actions(envs, 10)][-1]
    for row in range(3):
        data = envs.data(row)
        parts = (data.qpos[:7], *(data.body(name).xpos for name in ("robot/fork", "object", "object2")), data.qvel[:7])
        assert np.allclose(state[row], np.concatenate(parts), atol=1e-6)


@pytest.mark.parametrize(
    ("task", "boxes", "apart"),
    [
        (Pusher(), (OBJECTS, NEAR_GOALS), ((0, 1),)),
        (Pusher(wide_goals=True), (OBJECTS, WIDE_GOALS), ((0, 1),)),
        (PusherTwo(), TWO, ((0, 2), (1, 3), (0, 1), (2, 3))),
    ],
    ids=("easy", "hard", "two"),
)
def test_objects_and_goals_are_uniform_in_their_boxes_where_they_are_apart(task, boxes, apart):
    start = _starts(task)
    objects, goals = start.qpos[:, 7:].view(4000, -1, 2), start.goal.double().view(4000, -1, 3)
    assert torch.allclose(goals[:, :, 2], torch.tensor(PLANE).double())
    points = torch.cat((objects, goals[:, :, :2]), dim=1)
    slow = _slow_draws(boxes, apart, 4000)
    for i, box in enumerate(boxes):
        assert _inside(points[:, i], (box[0] - 1e-6, box[1] - 1e-6, box[2] + 1e-6, box[3] + 1e-6))
        for axis in range(2):
            assert stats.ks_2samp(points[:, i, axis].numpy(), slow[:, i, axis]).pvalue > 1e-3
    for i, j in apart:
        gaps = (points[:, i] - points[:, j]).norm(dim=1)
        assert gaps.min() >= 0.17 - 1e-6
        assert stats.ks_2samp(gaps.numpy(), np.linalg.norm(slow[:, i] - slow[:, j], axis=1)).pvalue > 1e-3


def test_both_goals_of_pusher2_are_drawn_for_themselves():
    goal = _starts(PusherTwo()).goal
    assert abs(np.corrcoef(goal[:, 1], goal[:, 4])[0, 1]) < 0.1


def test_goals_of_pusher_reacher_are_uniform_in_the_plane():
    goal = _starts(PusherReacher()).goal.double()
    for axis in range(2):
        low, high = OBJECTS[axis], OBJECTS[axis + 2]
        assert stats.kstest(goal[:, axis].numpy(), "uniform", args=(low, high - low)).pvalue > 1e-3
    assert torch.allclose(goal[:, 2], torch.tensor(PLANE).double())


def test_arms_start_stretched_and_nearly_at_rest():
    start = _starts(Pusher())
    assert not start.qpos[:, :7].any()
    assert stats.kstest(start.qvel[:, :7].flatten().numpy(), "uniform", args=(-0.005, 0.01)).pvalue > 1e-3
    assert not start.qvel[:, 7:].any()


def test_the_distance_of_pusher2_is_the_farther_objects():
    task = PusherTwo()
    state, goal = torch.zeros(3, 23), torch.zeros(3, 6)
    state[0, 10], state[1, 13], state[2, 12], state[2, 14] = 0.3, -0.4, 0.05, 0.02
    assert torch.allclose(task.distance(state, goal), torch.tensor([0.3, 0.4, 0.05]))
    goal[2, 5] = 1.0
    assert task.distance(state, goal)[2] == pytest.approx(np.hypot(0.02, 1.0))


def test_success_of_pusher2_needs_both(make):
    envs = make("pusher2", num_envs=3)
    goal = envs.reset().goal
    qpos = envs.physics.field("qpos")
    here, there = goal[:, [0, 1]].double(), goal[:, [3, 4]].double()
    qpos[:, 7:9], qpos[:, 9:11] = here, there
    qpos[1, 7] += 0.2
    qpos[2, 10] += 0.2
    step = envs.step(torch.zeros(3, 7))
    assert step.success.tolist() == [True, False, False]
    assert step.distance[1:].tolist() == pytest.approx([0.2, 0.2], abs=1e-3)


def test_an_object_that_the_fork_meets_is_pushed_and_one_that_it_does_not_stays(make):
    envs = make("pusher2", num_envs=2)
    envs.reset()
    qpos = envs.physics.field("qpos")
    # Shoulder down, elbow back: the fork is level with the objects
    qpos[:, :7] = torch.tensor([0.0, 0.6, 0, -0.5, 0, 0, 0]).double()
    envs.physics.forward(torch.arange(2))
    fork = envs.task.state(envs.physics)[0, 7:10].double()
    assert fork[2] == pytest.approx(PLANE, abs=0.02)
    qpos[:, 7:9] = fork[:2] + torch.tensor([0.0, 0.2])
    qpos[:, 9:11] = torch.tensor([-1.0, 1.0]).double()
    action = torch.zeros(2, 7)
    action[0, 0] = 1.0  # turns the first arm towards its object
    before = qpos[:, 7:].clone()
    for _ in range(15):
        envs.step(action)
    moved = (envs.physics.field("qpos")[:, 7:] - before).abs()
    assert moved[0, :2].max() > 0.05
    assert moved[0, 2:].max() < 1e-6
    assert moved[1].max() < 1e-6


def test_two_objects_push_each_other(make):
    envs = make("pusher2", num_envs=1)
    envs.reset()
    qpos, qvel = envs.physics.field("qpos"), envs.physics.field("qvel")
    qpos[0, 7:] = torch.tensor([0.3, 0.0, 0.45, 0.0]).double()
    qvel[0, 7] = 3.0
    for _ in range(10):
        envs.step(torch.zeros(1, 7))
    first, second = qpos[0, 7:9], qpos[0, 9:11]
    assert second[0] > 0.47
    assert (second - first).norm() > 0.098


def test_names_and_bad_hyperparameters():
    assert set(NAMES) <= set(ENVS)
    for task in (Pusher, PusherReacher, PusherTwo):
        with pytest.raises(ValueError, match="success_radius must be greater than 0, got 0"):
            task(success_radius=0.0)
