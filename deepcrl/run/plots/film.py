"""A film or a picture of a policy at work in the evaluation environment."""

from __future__ import annotations

from pathlib import Path

import psutil

from deepcrl.core.checks import at_most, suggest
from deepcrl.envs.check import check_camera, is_ours
from deepcrl.envs.make import make_task
from deepcrl.envs.task import GoalTask
from deepcrl.run.policy import Act
from deepcrl.training.build import build_envs
from deepcrl.training.config import RunConfig
from deepcrl.training.sizing.simulations import simulation_bytes_each
from deepcrl.training.sizing.table import format_bytes

TILES = 4
MAX_SIZE = 4096
"""Pixels of a tile; few drivers draw larger pictures."""
MAX_STEPS = 10_000_000
"""A film of hours: beyond it is a slip of the finger."""
BYTES_PER_PIXEL = 30
"""A picture, the grid, its copies on their way into the file, and what the GIF keeps."""
ENDINGS = (".mp4", ".png")


def check_film(config: RunConfig) -> None:
    """Raises ValueError if a run is to be filmed at its end and its task, of a plugin, has no camera for that."""
    task = make_task(config.evaluation_env)
    if config.video and isinstance(task, GoalTask) and not is_ours(task):
        check_camera(task, config.evaluation_env["name"])


def film(
    act: Act,
    config: RunConfig,
    path: Path,
    *,
    num_tiles: int = TILES,
    num_steps: int | None = None,
    size: int = 320,
    camera: str = "overview",
) -> list[Path]:
    """Films one episode, or `num_steps` control steps, in `num_tiles` evaluation environments side by side.

    Writes an MP4 `path` and a GIF beside it, or a PNG: what is seen after `num_steps`, the start by default. Returns
    the paths. The environments are new ones, with a random stream of their own: the same policy gives the same film.
    Raises RuntimeError if nothing can be drawn here, ValueError for a camera, a number or an ending that does not fit,
    OSError if a file cannot be written.
    """
    from deepcrl.envs.pictures.render import can_render
    from deepcrl.envs.pictures.video import record_episodes, record_picture

    if path.suffix not in ENDINGS:
        raise ValueError(suggest(f"ending of {path}", path.suffix, ENDINGS))
    at_most("--size", size, MAX_SIZE)
    at_most("--steps", num_steps or 0, MAX_STEPS)
    needed = num_tiles * (size * size * BYTES_PER_PIXEL + simulation_bytes_each(config, config.evaluation_env))
    if needed > (available := psutil.virtual_memory().available):
        raise ValueError(
            f"Not enough memory: {num_tiles} tiles of {size} pixels take {format_bytes(needed)}, "
            f"of {format_bytes(available)} available; lower --tiles or --size"
        )
    envs = build_envs(config, config.evaluation_env, num_tiles, "play")
    if not can_render(envs):
        raise RuntimeError(f"env={config.evaluation_env['name']} cannot be drawn")
    if path.suffix == ".png":
        record_picture(envs, act, path, num_steps=num_steps or 0, num_tiles=num_tiles, size=size, camera=camera)
        return [path]
    gif = path.with_suffix(".gif")
    record_episodes(envs, act, path, gif, num_steps=num_steps, num_tiles=num_tiles, size=size, camera=camera)
    return [path, gif]
