"""The walker: it gets where it wants to go, by the shortest way, and says when a new way begins."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from deepcrl.core.components import ENVS
from deepcrl.core.types import Observation
from deepcrl.envs import make_envs, make_task
from deepcrl.envs.walker import Walker

SETTINGS = {"name": "point_maze", "layout": "perfect_7", "layout_seed": 1, "cell_size": 1.0, "success_radius": 0.3}


def walk(env: dict, num_steps: int, noise: float):
    """Returns the cells [T, N, 2] that points have been in, which of the steps began a way [T, N], and the maze."""
    settings = {"name": "point_maze", **ENVS.defaults("point_maze"), **env}
    envs = make_envs(settings, num_envs=8, seed=0, episode_length=10_000)
    walker = Walker(make_task(settings), noise, torch.Generator().manual_seed(0))
    observation, cells, begins = envs.reset(), [], []
    for _ in range(num_steps):
        action, began = walker(observation)
        assert action.shape == (8, 2)
        assert action.abs().max() <= 1
        cells.append((observation.state[:, :2] / settings["cell_size"]).round().long())
        begins.append(began)
        observation = envs.step(action).observation
    return torch.stack(cells), torch.stack(begins), getattr(make_task(settings), "maze")  # noqa: B009


@pytest.mark.parametrize("env", [SETTINGS | {"drive": "velocity"}, SETTINGS | {"cell_size": 4.0}])
def test_ways_lead_to_cells_of_all_kinds_by_the_shortest_way(env: dict) -> None:
    cells, begins, maze = walk(env, 400, noise=0.1)
    ways = 0
    for path, began in zip(cells.transpose(0, 1).tolist(), begins.T.tolist(), strict=True):
        starts = [t for t, new in enumerate(began) if new]
        for begin, end in pairwise(starts):
            passed = [
                tuple(cell) for t, cell in enumerate(path[begin : end + 1]) if t == 0 or cell != path[begin + t - 1]
            ]
            assert len(passed) == len(set(passed)), "a shortest way comes to no place twice"
            assert len(passed) - 1 == maze.distances(passed[-1])[passed[0]]
            ways += 1
    assert ways > 8
    ends = {tuple(cell) for path, began in zip(cells.transpose(0, 1).tolist(), begins.T.tolist(), strict=True)
            for cell, new in zip(path, began, strict=True) if new}  # fmt: skip
    assert len(ends) > len(maze.free()) / 3


def test_noise_is_what_is_added_to_the_action() -> None:
    corridor = "#" * 60 + "/#R" + "G" * 57 + "#/" + "#" * 60
    task = make_task(ENVS.defaults("point_maze") | {"name": "point_maze", "layout": corridor, "drive": "velocity"})
    walker = Walker(task, 0.2, torch.Generator().manual_seed(0))
    action, begins = walker(Observation(torch.tensor([[4.0, 120.0]]).repeat(4000, 1), torch.zeros(4000, 2)))
    assert begins.all()
    assert action[:, 0].mean().abs() < 0.02
    assert action[:, 0].std() == pytest.approx(0.2, rel=0.05)
    assert action[:, 1].abs().mean() > 0.85


@pytest.mark.parametrize("name", ["reacher", "ant_u_maze"])
def test_where_no_point_walks_through_a_maze_it_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="walks in point mazes only"):
        Walker(make_task({"name": name, **ENVS.defaults(name)}), 0.5, torch.Generator())
