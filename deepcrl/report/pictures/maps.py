"""Pictures of what a critic has learned: its value over the positions of a maze, its embeddings along an episode."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepcrl.core.types import CriticAgent, EmbeddingAgent, Observation
from deepcrl.envs import make_task
from deepcrl.envs.scenes.mazes import Maze
from deepcrl.run.checkpoint import Checkpoint
from deepcrl.run.policy import trained_agent
from deepcrl.training.build import build_envs
from deepcrl.training.config import RunConfig
from deepcrl.training.validate import validated

MAX_POINTS = 4000
MAX_POINTS_PER_CELL = 8
"""Along each side of a cell."""
NUM_EPISODES = 4
MAX_STEPS = 500
MAX_SHOWN = 200
"""Of an episode's embeddings."""
DARKEST = 0.02
"""Quantile of the values that is drawn darkest: corners that nobody visits would swallow the scale."""


@torch.no_grad()
def maps(checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns what can be drawn of a checkpoint: `value_map` in a maze, `trace` of an episode.

    The first needs a critic, the second one that embeds state-action and goal. Raises CheckpointError or ValueError, in
    one line, if the policy cannot be built.
    """
    config = validated(checkpoint.config | {"device": "cpu", "kernels": "auto", "cuda_graph": False})
    agent = trained_agent(checkpoint, config)
    if not isinstance(agent, CriticAgent):
        return {}
    found = {"trace": trace(agent, config)} if isinstance(agent, EmbeddingAgent) else {}
    task = make_task(config.evaluation_env)
    maze = getattr(task, "maze", None)
    if isinstance(maze, Maze) and task.spec.goal_indices[:2] == (0, 1):  # the robot itself is to be at the goal
        seen = build_envs(config, config.evaluation_env, 1, "report").reset()
        found["value_map"] = value_map(agent, maze, seen)
    return found


def value_map(agent: CriticAgent, maze: Maze, seen: Observation) -> dict[str, Any]:
    """Returns a picture of the policy's value over a maze's free cells, for the goal cell farthest from the start.

    `seen`, one real observation, gives the rest of the state: pose, velocities (paper, Fig. 9). The picture looks like
    the printed layout, and like the films; places in it are shares of its width and height.
    """
    start = maze.cells("R")[0]
    far = maze.distances(start)
    goal = max(maze.cells("G"), key=lambda cell: far.get(cell, -1))
    per_cell, position, pixel = _grid(maze)
    state, target = seen.state[:1].repeat(len(position), 1), seen.goal[:1].repeat(len(position), 1)
    state[:, :2], target[:, :2] = position, torch.tensor(goal) * maze.cell_size
    places = Observation(state, target)
    value = agent.value(places, agent.act(places, explore=False)).double().numpy()
    size = (len(maze.rows), len(maze.rows[0]))
    low, high = float(np.quantile(value, DARKEST)), float(value.max())
    return {
        "image": _picture(value, pixel, (size[0] * per_cell, size[1] * per_cell), low, high),
        "size": list(size),
        "start": _share(start, size),
        "goal": _share(goal, size),
        "low": low,
        "high": high,
    }


def _grid(maze: Maze) -> tuple[int, Tensor, np.ndarray]:
    """Points in all free cells: how many along a cell, their positions [P, 2] in metres, their pixels [P, 2]."""
    free = maze.free()
    per_cell = max(1, min(MAX_POINTS_PER_CELL, int((MAX_POINTS / len(free)) ** 0.5)))
    pixel = np.array([(r * per_cell + i, c * per_cell + j) for r, c in free for i, j in np.ndindex(per_cell, per_cell)])
    position = ((pixel + 0.5) / per_cell - 0.5) * maze.cell_size
    return per_cell, torch.tensor(position, dtype=torch.float32), pixel


def _share(cell: tuple[int, int], size: tuple[int, int]) -> list[float]:
    return [(cell[1] + 0.5) / size[1], (cell[0] + 0.5) / size[0]]


def _picture(value: np.ndarray, pixel: np.ndarray, size: tuple[int, int], low: float, high: float) -> str:
    """A PNG as a data URI; what is not free is transparent."""
    from matplotlib import colormaps
    from PIL import Image

    color = np.zeros((*size, 4), np.uint8)
    shade = np.clip((value - low) / (high - low or 1), 0, 1)
    color[pixel[:, 0], pixel[:, 1]] = colormaps["viridis"](shade, bytes=True)
    file = io.BytesIO()
    Image.fromarray(color).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def trace(agent: EmbeddingAgent, config: RunConfig) -> dict[str, Any]:
    """Returns three principal components of the embeddings along the best of a few episodes (paper, Fig. 10).

    The episode is the one with most steps at the goal, of these the one that ends nearest. `goal` is the goal's
    embedding in the same coordinates, `shares` are the components' shares of the variance.
    """
    envs = build_envs(config, config.evaluation_env, NUM_EPISODES, "report")
    seen, embeddings, distance, alive = envs.reset(), [], [], []
    goal, going = seen.goal, torch.ones(NUM_EPISODES, dtype=torch.bool)
    hits = torch.zeros(NUM_EPISODES)
    for _ in range(min(config.episode_length, MAX_STEPS)):
        action = agent.act(seen, explore=False)
        embeddings.append(agent.embed(seen, action))
        step = envs.step(action)
        distance.append(step.distance)
        alive.append(going.clone())
        hits += step.success & going
        going &= ~(step.terminated | step.truncated)
        seen = step.observation
        if not going.any():
            break
    lengths = torch.stack(alive).sum(0)
    ends = torch.stack(distance).gather(0, (lengths - 1)[None])[0]
    best = max(range(NUM_EPISODES), key=lambda i: (float(hits[i]), -float(ends[i])))
    along = torch.stack(embeddings)[: lengths[best], best].double()
    points, target, shares = principal(along, agent.embed_goal(goal[best : best + 1])[0].double())
    shown = np.unique(np.linspace(0, len(points) - 1, min(len(points), MAX_SHOWN)).round().astype(int))
    return {
        "points": points[shown].tolist(),
        "goal": target.tolist(),
        "shares": shares.tolist(),
        "steps": shown.tolist(),
        "distances": torch.stack(distance)[shown, best].tolist(),
        "at_goal": int(hits[best]),
    }


def principal(points: Tensor, other: Tensor, count: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Projects points [P, D], and one `other` [D], onto the `count` main directions of the points' spread.

    Returns [P, count], [count] and each direction's share of the variance [count].
    """
    mean = points.mean(0)
    _, scale, directions = torch.linalg.svd(points - mean, full_matrices=False)
    missing = max(0, count - len(directions))
    directions = torch.nn.functional.pad(directions[:count], (0, 0, 0, missing))
    shares = torch.nn.functional.pad(scale[:count] ** 2, (0, missing)) / (scale**2).sum().clamp(min=1e-30)
    return (points - mean) @ directions.T, (other - mean) @ directions.T, shares
