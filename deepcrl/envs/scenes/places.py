"""Places around the origin and in boxes, where the tasks without a maze put their goals."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nearest_goal(goal_distance: float, goal_distance_min: float | None) -> float:
    """Returns the distance of the nearest goal: `goal_distance` unless a smaller one is set, else ValueError."""
    nearest = goal_distance if goal_distance_min is None else goal_distance_min
    if not 0 <= nearest <= goal_distance:
        raise ValueError(f"goal_distance_min must be within 0 and goal_distance {goal_distance}, got {nearest}")
    return nearest


def disc_bounds(radius: float) -> Tensor:
    """Returns the lowest and highest x and y of the points within `radius` of the origin: [2, 2] float64, metres."""
    return torch.tensor([[-radius] * 2, [radius] * 2], dtype=torch.float64)


def cos_sin(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Returns cosine and sine of angles [...] in radians, for what is computed in every step.

    Not by `torch.cos`: on a CPU that is MKL's, which wakes OpenMP's threads for a few numbers even; they then spin for
    milliseconds on processors that the physics needs.
    """
    cos, sin = torch.view_as_real(torch.polar(torch.ones_like(angle), angle)).unbind(-1)
    return cos.contiguous(), sin.contiguous()


def sample_around(num: int, nearest: float, farthest: float, generator: torch.Generator) -> Tensor:
    """Draws points [num, 2] float64 at a uniform angle and a uniform distance from the origin, in metres."""
    uniform = torch.rand(2, num, generator=generator, dtype=torch.float64, device=generator.device)
    radius = nearest + (farthest - nearest) * uniform[0]
    return torch.view_as_real(torch.polar(radius, 2 * math.pi * uniform[1]))


def sample_box(centre: tuple[float, ...], noise: float, num: int, generator: torch.Generator) -> Tensor:
    """Draws points [num, len(centre)] float64 uniformly within `noise` of `centre`, each axis for itself."""
    uniform = torch.rand(num, len(centre), generator=generator, dtype=torch.float64, device=generator.device)
    return noise * (2 * uniform - 1) + torch.tensor(centre, dtype=torch.float64, device=generator.device)


def box_bounds(centre: tuple[float, ...], noise: float) -> Tensor:
    """Returns the lowest and highest points that `sample_box` draws, [2, len(centre)] float64."""
    middle = torch.tensor(centre, dtype=torch.float64)
    return torch.stack((middle - noise, middle + noise))
