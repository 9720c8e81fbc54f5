"""What share of a maze's ways a critic knows: those that end at the goal if one always does what it likes best.

One wrong turn ends in a circle, so errors multiply along a way. That makes it a sharper measure of a critic
than its accuracy within a batch, and there is neither a robot nor the noise of episodes in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.types import CriticAgent, Observation, VectorEnv
from deepcrl.envs.scenes.mazes import Maze
from deepcrl.envs.task import GoalTask

MAX_GOALS = 64
FAR = 16
"""Cells from the place to the goal at which it counts as far; half of the longest way in mazes where that is less."""
TURNS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""From a cell to its neighbours, (row, column): along x and y."""
MAX_ROWS = 16_384
"""Of one call to the critic."""


class PathScore:
    """Looks at places and goals of one maze: the centres of its free cells, and up to 64 of them as goals, evenly."""

    def __init__(self, maze: Maze, state: Tensor, goal: Tensor, *, has_headings: bool) -> None:
        """`state` [S] and `goal` [G], on the agent's device, say what a place and a goal are apart from x and y.

        With `has_headings` an action is a direction in the plane, and the critic chooses among those to the free cells
        beside. Without, it chooses the one of them from which the policy's action is worth most. What it thinks of
        walking into a wall, which few data show, does not matter.
        """
        cells = maze.free()
        number = {cell: i for i, cell in enumerate(cells)}
        self._goals = torch.linspace(0, len(cells) - 1, min(len(cells), MAX_GOALS)).round().long()
        beside = [[number.get((r + dr, c + dc), i) for dr, dc in TURNS] for i, (r, c) in enumerate(cells)]
        self._beside = torch.tensor(beside)
        """[C, 4] the cell in each direction; the cell itself where there is a wall"""
        ways = [maze.distances(cells[g]) for g in self._goals.tolist()]
        self._steps = torch.tensor([[way.get(cell, -1) for way in ways] for cell in cells])
        """[C, K] from each cell to each goal; -1 where no way leads there"""
        place = torch.tensor(cells, dtype=torch.float32) * maze.cell_size
        self._state, self._goal = state.repeat(len(cells), 1), goal.repeat(len(self._goals), 1)
        self._state[:, :2], self._goal[:, :2] = place.to(state.device), place[self._goals].to(state.device)
        self._has_headings = has_headings

    @torch.no_grad()
    def __call__(self, agent: CriticAgent) -> dict[str, float]:
        """Returns `critic/path_solved`, the share of places and goals, and `..._far`, of those far apart."""
        parts = self._goal.split(max(1, MAX_ROWS // len(self._state)))
        worth = torch.cat([self._worth(agent, part) for part in parts], dim=1)  # [C, K, 4]
        at = torch.arange(len(self._state))[:, None]
        is_wall = self._beside == at  # [C, 4]
        turn = worth.masked_fill(worth.isnan() | is_wall[:, None], -torch.inf).argmax(dim=2)
        at = at.expand_as(turn)
        following = self._beside[at, turn]
        following[self._goals, torch.arange(len(self._goals))] = self._goals  # stay there
        for _ in range(len(self._state).bit_length()):  # 1, 2, 4, ... steps, more in the end than there are cells
            following = following.gather(0, following)
        solved = following == self._goals
        return {
            "critic/path_solved": solved[self._steps > 0].double().mean().item(),
            "critic/path_solved_far": solved[self._steps >= self._far].double().mean().item(),
        }

    @property
    def _far(self) -> int:
        longest = int(self._steps.max())
        return min(FAR, max(1, longest // 2))

    def _worth(self, agent: CriticAgent, goal: Tensor) -> Tensor:
        """Returns what each turn is worth at each cell for goals [K, G]: [C, K, 4]."""
        num_cells, num_goals = len(self._state), len(goal)
        state, goal = self._state.repeat_interleave(num_goals, 0), goal.repeat(num_cells, 1)
        seen = Observation(state, goal)
        if self._has_headings:
            headings = torch.tensor(TURNS, dtype=torch.float32, device=state.device)[:, None].expand(-1, len(state), -1)
            return agent.value(seen, headings).cpu().view(len(TURNS), num_cells, num_goals).permute(1, 2, 0)
        value = agent.value(seen, agent.act(seen, explore=False)).cpu().view(num_cells, num_goals)
        return value[self._beside].permute(0, 2, 1)


def path_score(envs: VectorEnv, device: torch.device) -> PathScore | None:
    """Returns the score of the maze in which a robot has to go to its goal; None if these are no such environments."""
    task = getattr(envs, "task", None)
    if not isinstance(task, GoalTask) or task.spec.goal_indices[:2] != (0, 1):
        return None
    maze = getattr(task, "maze", None)
    if not isinstance(maze, Maze):
        return None
    before = envs.state_dict()
    seen = envs.reset()
    envs.load_state_dict(before)
    state = torch.zeros_like(seen.state[0]) if task.has_headings else seen.state[0]
    return PathScore(maze, state.to(device), seen.goal[0].to(device), has_headings=task.has_headings)
