"""A film or a picture of a policy at work in the evaluation environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from deepcrl.core import seeding
from deepcrl.core.checks import suggest
from deepcrl.core.types import Agent, Observation
from deepcrl.train.build import build_envs, env_spec
from deepcrl.train.config import RunConfig

TILES = 4
ENDINGS = (".mp4", ".png")
Act = Callable[[Observation], Tensor]


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
    envs = build_envs(config, config.evaluation_env, num_tiles, "play")
    if not can_render(envs):
        raise RuntimeError(f"env={config.evaluation_env['name']} cannot be drawn")
    if path.suffix == ".png":
        record_picture(envs, act, path, num_steps=num_steps or 0, num_tiles=num_tiles, size=size, camera=camera)
        return [path]
    gif = path.with_suffix(".gif")
    record_episodes(envs, act, path, gif, num_steps=num_steps, num_tiles=num_tiles, size=size, camera=camera)
    return [path, gif]


def policy_of(agent: Agent) -> Act:
    """Returns how `agent` acts when it does not explore."""
    return partial(agent.act, explore=False)


def random_policy(config: RunConfig) -> Act:
    """Returns a policy that draws actions [N, A] uniformly from [-1, 1]; the same seed gives the same ones."""
    generator, action_dim = seeding.generator(config.seed, "random_policy"), env_spec(config).action_dim
    return lambda observation: 2 * torch.rand(len(observation.state), action_dim, generator=generator) - 1
