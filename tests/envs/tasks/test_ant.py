"""The ant tasks: starts, goals, falls and walls."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.robots.ant import INIT_QPOS
from deepcrl.envs.tasks.ant import Ant, AntMaze


def _starts(task, num=4000):
    return task.sample_start(num, torch.Generator().manual_seed(0))


def test_goals_lie_on_the_circle_at_uniform_angles():
    goal = _starts(Ant()).goal.double()
    assert torch.allclose(goal.norm(dim=1), torch.tensor(10.0).double(), atol=1e-5)
    angle = torch.atan2(goal[:, 1], goal[:, 0])
    assert stats.kstest(angle.numpy(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3


def test_nearer_goals_have_a_uniform_radius():
    radius = _starts(Ant(goal_distance=6.0, goal_distance_min=2.0)).goal.double().norm(dim=1)
    assert stats.kstest(radius.numpy(), "uniform", args=(2.0, 4.0)).pvalue > 1e-3


def test_random_starts_are_as_far_from_their_goals_in_every_direction():
    start = _starts(Ant(random_start=True, reset_noise=0.0))
    goal, way = start.goal.double(), start.qpos[:, :2] - start.goal.double()
    for vector in (goal, way):
        assert torch.allclose(vector.norm(dim=1), torch.tensor(10.0).double(), atol=1e-5)
        angle = torch.atan2(vector[:, 1], vector[:, 0])
        assert stats.kstest(angle.numpy(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3
    assert abs(np.corrcoef(goal[:, 0], way[:, 0])[0, 1]) < 0.1


def test_corridor_goals_are_uniform_over_distances_then_starts():
    task = AntMaze(layout="u_maze", goal_steps=[1, 3], reset_noise=0.0)
    start = _starts(task)
    path = [(1, 1), (1, 2), (1, 3), (2, 3), (3, 3), (3, 2), (3, 1)]
    cells = [
        [path.index(tuple(cell)) for cell in (places / 4).long().tolist()] for places in (start.qpos[:, :2], start.goal)
    ]
    steps = torch.tensor(cells[1]) - torch.tensor(cells[0])
    assert set(steps.tolist()) == {1, 3}
    assert stats.binomtest(int((steps == 1).sum()), len(steps)).pvalue > 1e-3
    for k in (1, 3):
        counts = torch.tensor(cells[0])[steps == k].bincount()
        assert len(counts) == 7 - k
        assert stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("layout", ["u_maze", "u_maze_eval", "big_maze", "big_maze_eval", "hardest_maze"])
def test_maze_goals_are_uniform_over_goal_cells(layout):
    task = AntMaze(layout=layout)
    goal = _starts(task).goal.double()
    cells = task.maze.centres("G")
    hits = (goal[:, None] == cells).all(dim=2)
    assert hits.any(dim=1).all()
    assert stats.chisquare(hits.sum(dim=0).numpy()).pvalue > 1e-3


@pytest.mark.parametrize(("task", "origin"), [(Ant(), (0.0, 0.0)), (AntMaze(), (4.0, 4.0))])
def test_starts_are_within_the_noise_of_the_standing_pose(task, origin):
    start = _starts(task)
    standing = torch.tensor(INIT_QPOS, dtype=torch.float64)
    standing[:2] += torch.tensor(origin)
    offset = start.qpos - standing
    noisy = [i for i in range(15) if i not in (3, 4, 5, 6)]
    assert (offset[:, noisy].abs() <= 0.1).all()
    assert (offset[:, noisy].abs().amax(dim=0) > 0.095).all()
    assert torch.allclose(start.qpos[:, 3:7].norm(dim=1), torch.ones(4000).double())
    assert start.qvel.std().item() == pytest.approx(0.1, rel=0.02)


def test_without_noise_starts_are_exact():
    start = _starts(Ant(reset_noise=0.0), num=3)
    assert torch.equal(start.qpos, torch.tensor(INIT_QPOS, dtype=torch.float64).expand(3, 15))
    assert not start.qvel.any()


def test_the_state_is_qpos_then_qvel(make):
    envs = make("ant")
    state = envs.reset().state
    assert torch.equal(state[:, :15], envs.physics.field("qpos").float())
    assert torch.equal(state[:, 15:], envs.physics.field("qvel").float())


def test_healthy_heights():
    state = torch.zeros(4, 29)
    state[:, 2] = torch.tensor([0.19, 0.21, 0.99, 1.01])
    assert Ant().terminated(state).tolist() == [True, False, False, True]


def test_an_idle_ant_stands_on_its_feet(make):
    envs = make("ant", task={"reset_noise": 0.0})
    envs.reset()
    steps = [envs.step(torch.zeros(5, 8)) for _ in range(60)]
    assert not any(step.terminated.any() for step in steps)
    state = steps[-1].next_state
    assert (state[:, 15:].abs() < 0.05).all()  # it sinks slowly: nothing but damping holds the ankles
    assert torch.allclose(state[:, 3].abs(), torch.ones(5), atol=1e-4)
    data = envs.data(0)
    touching = {envs.task.model.geom(g).name for pair in data.contact.geom for g in pair}
    assert touching == {"floor"} | {f"robot/shin_{i}" for i in range(1, 5)}
    assert data.contact.dist.min() > -0.01


@pytest.mark.parametrize("name", ["ant", "ant_u_maze"])
def test_nothing_penetrates_deeply_under_random_actions(name, make, actions):
    """Contacts are soft and noisy starts may touch the floor, so a few centimetres are normal."""
    envs = make(name, num_envs=16)
    envs.reset()
    depths = []
    for number, action in enumerate(actions(envs, 300)):
        step = envs.step(action)
        if number % 10 == 0:
            going_on = (~step.terminated).nonzero()[:, 0].tolist()
            depths += [-d.contact.dist.min(initial=0.0) for d in map(envs.data, going_on)]
    depth = torch.tensor(depths)
    assert 0 < depth.max() < 0.12
    assert depth.quantile(0.95) < 0.05
    assert envs.num_unstable == 0


def test_walls_stop_the_ant(make):
    envs = make("ant_u_maze", task={"reset_noise": 0.0})
    envs.reset()
    envs.physics.field("qvel")[:, :2] = torch.tensor([[-9.0, 0], [0, -9], [9, 0], [-9, -9], [-9, 9]]).double()
    for _ in range(40):
        state = envs.step(torch.zeros(5, 8)).next_state
        # The start cell is [2, 6] x [2, 6]; only +y is open
        assert (state[:, 0] > 2.2).all()
        assert (state[:, 0] < 5.8).all()
        assert (state[:, 1] > 2.2).all()
