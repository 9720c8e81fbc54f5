"""Ants with a ball or a block: models, starts, goals, and that the object can be moved."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from deepcrl.envs.tasks.ant_object import AntBall, AntBallMaze, AntPush


def _starts(task):
    return task.sample_start(4000, torch.Generator().manual_seed(0))


def test_goals_are_the_balls_place_or_the_ants():
    assert AntBall().goal_labels == AntBallMaze().goal_labels == ("object x (m)", "object y (m)")
    assert AntPush().goal_labels == ("torso x (m)", "torso y (m)")


def test_the_ball_starts_around_the_middle_of_the_way_clear_of_the_ant():
    start = _starts(AntBall())
    goal, ball = start.goal.double(), start.qpos[:, 15:]
    assert torch.allclose(goal.norm(dim=1), torch.tensor(5.0).double(), atol=1e-5)
    offset = ball - goal / 2
    for vector in (goal, offset):
        angle = torch.atan2(vector[:, 1], vector[:, 0])
        assert stats.kstest(angle.numpy(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3
    assert torch.allclose(offset.norm(dim=1), torch.ones(4000).double(), atol=1e-5)
    assert ball.norm(dim=1).min() >= 1.499
    assert not start.qvel[:, 14:].any()


def test_ball_and_goal_cells_are_uniform_and_independent():
    task = AntBallMaze(layout="big_maze")
    start = _starts(task)
    balls = (start.qpos[:, None, 15:] == task.maze.centres("B")).all(dim=2)
    goals = (start.goal[:, None].double() == task.maze.centres("G")).all(dim=2)
    assert balls.any(dim=1).all()
    assert goals.any(dim=1).all()
    table = balls.double().T @ goals.double()
    assert table.shape == (2, 20)
    assert stats.chisquare(table.numpy().ravel()).pvalue > 1e-3


def test_push_goals_are_uniform_in_two_squares():
    start = _starts(AntPush())
    goal = start.goal.double()
    right = goal[:, 0] > goal[:, 1]
    assert stats.binomtest(int(right.sum()), 4000).pvalue > 1e-3
    corner = torch.where(right[:, None], torch.tensor([16.0, 8.0]), torch.tensor([8.0, 16.0]))
    assert stats.kstest(((goal - corner) / 2).flatten().numpy(), "uniform").pvalue > 1e-3
    assert torch.equal(start.qpos[:, 15:], torch.full((4000, 2), 8.0).double())


def test_sizes_of_the_objects(make):
    ball, push = make("ant_ball").task.model, make("ant_push").task.model
    assert push.geom("block").size.tolist() == [3.6, 3.6, 1.8]
    assert ball.geom("ball").size[0] == 0.5


@pytest.mark.parametrize(("name", "place", "reach"), [("ant_ball", (0.0, 0.0), 1.6), ("ant_push", (8.0, 8.0), 5.0)])
def test_an_ant_that_flies_into_the_object_moves_it(name, place, reach, make):
    envs = make(name, task={"reset_noise": 0.0})
    envs.reset()
    qpos, qvel = envs.physics.field("qpos"), envs.physics.field("qvel")
    qpos[:, 15:] = torch.tensor(place).double()
    qpos[:, :2] = torch.tensor([place[0] - reach, place[1]]).double()
    qvel[:, 0] = 4.0
    for _ in range(14):
        envs.step(torch.zeros(5, 8))
    step = envs.step(torch.zeros(5, 8))
    assert (step.next_state[:, 29] > place[0] + 0.1).all()
    assert envs.num_unstable == 0


@pytest.mark.parametrize(("name", "limit"), [("ant_ball_u_maze", 13.5), ("ant_push", 16.4)])
def test_walls_hold_the_object(name, limit, make):
    envs = make(name)
    envs.reset()
    for _ in range(80):
        envs.physics.field("qvel")[:, 15] = 3.0  # along y
        envs.step(torch.zeros(5, 8))
    y = envs.physics.field("qpos")[:, 16]
    assert ((y > limit - 0.3) & (y < limit + 0.3)).all()


def test_bad_values_are_one_line():
    with pytest.raises(ValueError, match="layout has no ball cell, B"):
        AntBallMaze(layout="#####/#RGG#/#####")
    with pytest.raises(ValueError, match="Unknown layout 'u2_maze'"):
        AntBallMaze(layout="u2_maze")
    with pytest.raises(ValueError, match="goal_distance must be at least 5, got 1.0"):
        AntBall(goal_distance=1.0)
