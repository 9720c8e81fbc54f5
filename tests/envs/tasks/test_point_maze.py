"""The point mazes: dynamics, starts, goals and walls."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from deepcrl.envs.tasks.point_maze import PointMaze

OPEN = "###########/#.........#/#....R...G#/#.........#/###########"


def test_full_action_is_5_metres_per_second_squared_without_friction(make):
    envs = make("point_maze", task={"layout": OPEN, "reset_noise": 0.0})
    envs.reset()
    step = [envs.step(torch.tensor([[0.0, 1.0]]).expand(5, 2)) for _ in range(10)][-1]
    assert torch.allclose(step.next_state[:, 2:], torch.tensor([0.0, 2.5]), atol=1e-5)
    assert torch.allclose(step.next_state[:, 1] - 20.0, torch.tensor(0.5 * 5 * 0.5**2), atol=0.02)
    coasting = envs.step(torch.zeros(5, 2))
    assert torch.allclose(coasting.next_state[:, 2:], step.next_state[:, 2:], atol=1e-6)


def test_driven_by_velocity_it_takes_on_the_velocity_of_the_action_within_a_step(make):
    envs = make("point_maze", task={"layout": OPEN, "drive": "velocity", "reset_noise": 0.0})
    assert (envs.spec.state_dim, envs.task.state_labels) == (2, ("x (m)", "y (m)"))
    assert envs.task.action_labels == ("velocity along x / 10 m/s", "velocity along y / 10 m/s")
    before = envs.reset().state
    steps = [envs.step(torch.tensor([[0.0, 0.5]]).expand(5, 2)).next_state for _ in range(3)]
    assert torch.allclose(steps[0] - before, torch.tensor([0.0, 0.25]), atol=0.1)
    assert torch.allclose(steps[2] - steps[1], torch.tensor([0.0, 0.25]), atol=2e-2)
    back = [envs.step(torch.tensor([[0.0, -0.5]]).expand(5, 2)).next_state for _ in range(3)]
    assert torch.allclose(back[2] - back[1], torch.tensor([0.0, -0.25]), atol=5e-3)
    pressed = [envs.step(torch.tensor([[-1.0, 0.0]]).expand(5, 2)).next_state for _ in range(40)]
    assert torch.allclose(pressed[-1][:, 0], torch.tensor(2.25), atol=0.05), "a wall holds it"


def test_actions_beyond_one_count_as_one(make):
    envs, twin = (make("point_u_maze") for _ in range(2))
    envs.reset()
    twin.reset()
    assert torch.equal(envs.step(torch.full((5, 2), 7.0)).next_state, twin.step(torch.ones(5, 2)).next_state)


def test_starts_are_exact_and_goals_uniform():
    task = PointMaze(layout="big_maze")
    start = task.sample_start(4000, torch.Generator().manual_seed(0))
    assert torch.equal(start.qpos, torch.full((4000, 2), 4.0).double())
    assert start.qvel.std().item() == pytest.approx(0.1, rel=0.05)
    hits = (start.goal.double()[:, None] == task.maze.centres("G")).all(dim=2)
    assert hits.any(dim=1).all()
    assert stats.chisquare(hits.sum(dim=0).numpy()).pvalue > 1e-3


def test_several_start_cells_are_all_used():
    task = PointMaze(layout="#####/#RGR#/#####")
    start = task.sample_start(100, torch.Generator().manual_seed(0))
    assert start.qpos[:, 1].unique().tolist() == [4.0, 12.0]


def test_it_never_terminates_without_pits_and_walls_hold(make):
    envs = make("point_u_maze", num_envs=8, episode_length=300)
    envs.reset()
    angle = torch.arange(8) * torch.pi / 4
    push = torch.stack((angle.cos(), angle.sin()), dim=1)
    for number in range(400):
        step = envs.step(push if number % 100 < 70 else -push)
        assert not step.terminated.any()
        x, y = step.next_state[:, 0], step.next_state[:, 1]
        assert ((x > 2.0) & (x < 14.0) & (y > 2.0) & (y < 14.0)).all()
        assert not ((x > 6.5) & (x < 9.5) & (y < 9.5)).any()  # the wall in the middle


def test_reaching_the_goal_is_a_success(make):
    envs = make("point_maze", task={"layout": "#######/#R...G#/#######", "cell_size": 1.0, "reset_noise": 0.0})
    envs.reset()
    success = torch.stack([envs.step(torch.tensor([[0.0, 1.0]]).expand(5, 2)).success for _ in range(30)])
    first = success[:, 0].nonzero()[0, 0]
    # 3.5 of 4 m at 5 m/s^2 take 1.18 s: 23.7 control steps
    assert first in (22, 23, 24)
    assert success.eq(success[:, :1]).all()


def test_a_pit_ends_the_episode(make):
    envs = make("point_maze", task={"layout": "######/#RPG.#/#GGG.#/######", "cell_size": 1.0, "reset_noise": 0.0})
    envs.reset()
    steps = [envs.step(torch.tensor([[0.0, 1.0]]).expand(5, 2)) for _ in range(10)]
    fallen = torch.stack([step.terminated for step in steps])
    y = torch.stack([step.next_state[:, 1] for step in steps])
    assert fallen[:, 0].any()
    first = int(fallen[:, 0].nonzero()[0, 0])
    assert torch.equal(fallen[: first + 1], y[: first + 1] > 1.5)
    assert (y[first + 1] < 1.5).all()  # begun anew
