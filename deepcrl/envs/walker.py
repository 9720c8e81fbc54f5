"""A scripted policy that walks through a point maze from one random cell to the next, by the shortest way, noisily."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.types import Observation
from deepcrl.envs.scenes.mazes import Maze
from deepcrl.envs.settings import EnvItem
from deepcrl.envs.task import GoalTask

GAIN = 0.4
"""Force per metre to go, and against each m/s: a point that is driven by a force hardly overshoots."""


class Walker:
    """Gives actions for N points that are each on the way to a cell of their own; the commanded goals do not matter.

    A point that arrives in its cell, or begins an episode, begins a new way, to a cell drawn uniformly. `noise` is the
    standard deviation of what is added to each entry of an action before it is clipped to [-1, 1].
    """

    def __init__(self, task: EnvItem, noise: float, generator: torch.Generator) -> None:
        """Raises ValueError for a task in which no point walks through a maze."""
        maze = getattr(task, "maze", None)
        if not isinstance(task, GoalTask) or not isinstance(maze, Maze) or not task.has_headings:
            raise ValueError("policy=walker walks in point mazes only, such as env=point_maze env.layout=perfect_21")
        cells = maze.free()
        number = {cell: i for i, cell in enumerate(cells)}
        self._cell_size, self._centre = maze.cell_size, torch.tensor(cells, dtype=torch.float32) * maze.cell_size
        self._next = torch.tensor([_steps_towards(maze, cell, number) for cell in cells])
        """[C, C] the cell that follows on the way to a cell (row) from a cell (column)"""
        self._number = torch.full((len(maze.rows), len(maze.rows[0])), -1)
        self._number[tuple(torch.tensor(cells).T)] = torch.arange(len(cells))
        self._has_velocity = getattr(task, "drive", "force") == "velocity"
        self._noise, self._generator = noise, generator
        self._target = torch.zeros(0, dtype=torch.int64)

    def __call__(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Returns actions [N, A] and which of them begin a way, [N] bool."""
        place, velocity = observation.state.split(2, dim=1) if not self._has_velocity else (observation.state, None)
        row, column = (place / self._cell_size).round().long().unbind(dim=1)
        cell = self._number[row, column]
        first = torch.ones_like(cell, dtype=torch.bool) if observation.first is None else observation.first
        fresh = torch.randint(len(self._centre), cell.shape, generator=self._generator)
        begins = first | (self._target == cell) if len(self._target) == len(cell) else torch.ones_like(first)
        self._target = torch.where(begins, fresh, self._target) if len(self._target) == len(cell) else fresh
        way = self._centre[self._next[self._target, cell]] - place
        noise = self._noise * torch.randn(way.shape, generator=self._generator)
        if velocity is None:
            return (torch.nn.functional.normalize(way, dim=1) + noise).clamp(-1, 1), begins
        return (GAIN * (way - velocity) + noise).clamp(-1, 1), begins


def _steps_towards(maze: Maze, goal: tuple[int, int], number: dict[tuple[int, int], int]) -> list[int]:
    """Returns for each cell the neighbour that is nearer to the goal; the goal itself where no way leads there."""
    steps = maze.distances(goal)
    following = []
    for r, c in number:
        near = [cell for cell in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)) if cell in steps]
        following.append(number[min(near, key=lambda cell: steps[cell])] if near and (r, c) != goal else number[goal])
    return following
