"""Data of a scripted policy, as a dataset for offline training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepcrl.core import seeding
from deepcrl.core.checks import at_least
from deepcrl.core.types import Observation
from deepcrl.envs import make_task
from deepcrl.envs.walker import Walker
from deepcrl.run.datasets.export import check_new, write
from deepcrl.run.policy import random_policy
from deepcrl.training.build import build_envs
from deepcrl.training.config import RunConfig

Script = Callable[[Observation], tuple[Tensor, Tensor]]
"""From N observations to actions [N, A], and which of them begin a trajectory, [N] bool."""


def walker(config: RunConfig, noise: float) -> Script:
    """Walks through the maze of a run, one trajectory to each cell; ValueError where there is none."""
    at_least("noise", noise, 0)
    return Walker(make_task(config.env), noise, seeding.generator(config.seed, "walker"))


def random(config: RunConfig, noise: float) -> Script:
    """Draws actions uniformly, whatever the noise."""
    del noise
    act = random_policy(config)
    return lambda observation: (act(observation), torch.zeros(len(observation.state), dtype=torch.bool))


POLICIES: dict[str, Callable[[RunConfig, float], Script]] = {"walker": walker, "random": random}
"""By name: from a config, and how noisy to be, to a script."""


def collect(config: RunConfig, act: Script, num_steps: int, path: Path) -> dict[str, np.ndarray]:
    """Writes what `act` does in `config.num_envs` environments to `path`, in OGBench's layout; returns the arrays.

    There are `num_steps` steps or a few more, the same number in each environment; where an episode ends, where `act`
    begins anew, and after the last step a trajectory ends. Raises ValueError, in one line, for a path that does not end
    in .npz or exists.
    """
    check_new(path)
    envs = build_envs(config, config.env, config.num_envs, "collect")
    observation, rows = envs.reset(), []
    for _ in range(-(-num_steps // config.num_envs)):
        action, begins = act(observation)
        step = envs.step(action)
        rows.append((observation.state, action, begins, step.terminated | step.truncated))
        observation = step.observation
    state, action, begins, last = (torch.stack(column, dim=1) for column in zip(*rows, strict=True))  # [N, L, .]
    last[:, :-1] |= begins[:, 1:]
    last[:, -1] = True
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, state, action, last)
