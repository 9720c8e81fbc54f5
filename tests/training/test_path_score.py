"""The path score against walks taken one by one, and critics whose ways are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor

from deepcrl.core.components import ENVS
from deepcrl.core.types import CriticAgent, Observation
from deepcrl.envs.scenes.mazes import LAYOUTS, Maze, parse_layout
from deepcrl.training.build import build_envs, build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.path_score import FAR, MAX_GOALS, TURNS, PathScore, path_score

CELL = 2.0
HARDEST = "hardest_maze"
SCORES = ("critic/path_solved", "critic/path_solved_far")


class Critic:
    """Values an action, a force, by a function of the cell (row, column) and the goal's; and counts its calls."""

    def __init__(self, worth: Callable[[tuple[int, int], tuple[int, int]], float]) -> None:
        self.worth, self.num_rows = worth, 0

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        place = observation.state[:, :2].expand(*action.shape[:-1], 2)
        after = ((place + CELL * action) / CELL).round().long()
        goal = (observation.goal[:, :2] / CELL).round().long().expand_as(after)
        self.num_rows = max(self.num_rows, len(observation.state))
        pairs = zip(after.reshape(-1, 2).tolist(), goal.reshape(-1, 2).tolist(), strict=True)
        return torch.tensor([float(self.worth((r, c), (x, y))) for (r, c), (x, y) in pairs]).view(action.shape[:-1])

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        assert not explore
        return torch.zeros(len(observation.state), 2)


def maze_of(name: str) -> Maze:
    return parse_layout(LAYOUTS[name], CELL)


def score(maze: Maze, critic: Critic, *, has_headings: bool) -> tuple[float, float]:
    found = PathScore(maze, torch.zeros(4), torch.zeros(2), has_headings=has_headings)(cast(CriticAgent, critic))
    return found[SCORES[0]], found[SCORES[1]]


def walked(maze: Maze, worth: Callable[[tuple[int, int], tuple[int, int]], float]) -> tuple[float, float]:
    """One place and one goal at a time, for mazes with fewer cells than goals are looked at."""
    cells = maze.free()
    longest = max(max(maze.distances(cell).values()) for cell in cells)
    near_and_far: list[bool] = []
    far: list[bool] = []
    for goal in cells:
        steps = maze.distances(goal)
        for start in cells:
            if start == goal or start not in steps:
                continue
            at = start
            for _ in cells:
                if at == goal:
                    break
                near = [(at[0] + r, at[1] + c) for r, c in TURNS]
                at = max((cell for cell in near if cell in cells), key=lambda cell: worth(cell, goal))
            near_and_far.append(at == goal)
            if steps[start] >= min(FAR, longest // 2):
                far.append(at == goal)
    return sum(near_and_far) / len(near_and_far), sum(far) / len(far)


def noisy(maze: Maze, noise: float) -> Callable[[tuple[int, int], tuple[int, int]], float]:
    """Minus the steps that are left, with noise that is the same at every call; walls are worth little, not nothing."""
    rng = torch.Generator().manual_seed(0)
    size = (len(maze.rows), len(maze.rows[0]))
    off = (noise * torch.randn(*size, *size, generator=rng)).tolist()
    ways = {cell: maze.distances(cell) for cell in maze.free()}
    return lambda cell, goal: -ways[goal].get(cell, 30) + off[cell[0]][cell[1]][goal[0]][goal[1]]


@pytest.mark.parametrize("has_headings", [True, False])
@pytest.mark.parametrize("name", ["u_maze", "hardest_maze", "pit_maze"])
def test_who_knows_the_steps_solves_every_way(name: str, has_headings: bool) -> None:
    maze = maze_of(name)
    assert score(maze, Critic(noisy(maze, 0)), has_headings=has_headings) == (1, 1)


@pytest.mark.parametrize(("layout", "noise"), [(HARDEST, 0.5), (HARDEST, 1.0), (HARDEST, 2.0), ("perfect_11", 1.0)])
def test_equals_walks_that_are_taken_one_by_one(layout: str, noise: float) -> None:
    maze = parse_layout(layout, CELL, seed=0)
    worth = noisy(maze, noise)
    expected = walked(maze, worth)
    assert score(maze, Critic(worth), has_headings=True) == pytest.approx(expected)
    assert 0 < expected[1] < expected[0] < 1


def test_a_wrong_turn_costs_far_goals_more() -> None:
    maze = parse_layout("#" * 30 + "/#R" + "G" * 27 + "#/" + "#" * 30, CELL)
    wrong = (1, 14)  # from which it turns back
    critic = Critic(lambda cell, goal: -abs(cell[1] - goal[1]) - 40 * (cell[1] == wrong[1] + 1 and goal[1] > wrong[1]))
    solved, far = score(maze, critic, has_headings=True)
    assert far < solved < 1


def test_large_mazes_are_looked_at_in_parts_and_with_few_goals() -> None:
    maze = parse_layout("#" * 22 + ("/#" + "G" * 20 + "#") * 19 + "/#R" + "G" * 19 + "#/" + "#" * 22, CELL)
    critic = Critic(lambda cell, goal: -abs(cell[0] - goal[0]) - abs(cell[1] - goal[1]))
    assert score(maze, critic, has_headings=True) == (1, 1)
    assert critic.num_rows < 20 * 20 * MAX_GOALS


def test_what_is_not_a_number_is_not_chosen() -> None:
    maze = maze_of("u_maze")
    assert score(maze, Critic(lambda cell, goal: float("nan")), has_headings=True)[0] < 1


def test_runs_in_mazes_measure_their_critics(tiny) -> None:
    for env, has_score in (
        ("point_u_maze", True),
        ("ant_u_maze", True),
        ("reacher", False),
        ("ant_ball_u_maze", False),
    ):
        config = tiny(env=ENVS.defaults(env))
        envs = build_envs(config, config.env, 2, "eval", None)
        before = envs.state_dict()["generator"]
        assert (path_score(envs, torch.device("cpu")) is not None) == has_score, env
        assert torch.equal(envs.state_dict()["generator"], before)
    run = build_run(tiny(env=ENVS.defaults("point_u_maze"), learners={"other": {"agent": {"name": "gcbc"}}}))
    assert run.path_score
    found = run._scores(run.agent, Interrupt())
    assert all(0 <= found[name] <= 1 for name in SCORES)
    assert not any(name in run._scores(run.learners["other"], Interrupt()) for name in SCORES), "it has no critic"
