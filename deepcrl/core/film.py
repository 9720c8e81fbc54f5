"""A film of a policy: evaluation episodes as MP4 and GIF in the run directory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from deepcrl.core.build import build_envs
from deepcrl.core.config import RunConfig
from deepcrl.core.types import Agent

TILES = 4


def film(
    agent: Agent,
    config: RunConfig,
    directory: Path,
    env_steps: int,
    *,
    num_tiles: int = TILES,
    num_steps: int | None = None,
    size: int = 320,
    camera: str = "overview",
) -> tuple[Path, Path]:
    """Films one episode, or `num_steps` control steps, in `num_tiles` evaluation environments side by side.

    Returns the paths of the MP4 and the GIF, in `directory`. The environments are new ones, with a random stream of
    their own: the same policy gives the same film. Raises RuntimeError if nothing can be drawn here, ValueError for a
    camera or a number that does not fit, OSError if a file cannot be written.
    """
    from deepcrl.envs.render import Drawable
    from deepcrl.envs.video import record_episodes

    envs = build_envs(config, config.evaluation_env, num_tiles, "play")
    name = config.evaluation_env["name"]
    if not isinstance(envs, Drawable):
        raise RuntimeError(f"env={name} cannot be drawn")
    mp4, gif = (directory / f"{name}_{env_steps}.{ending}" for ending in ("mp4", "gif"))
    act = partial(agent.act, explore=False)
    record_episodes(envs, act, mp4, gif, num_steps=num_steps, num_tiles=num_tiles, size=size, camera=camera)
    return mp4, gif
