"""Goal-reaching environments: tasks written once in batched torch, N simulations stepped together.

`make_envs` and `make_task` are the way in; a task is one class registered in `ENVS` (see `deepcrl.envs.task`).
Importing this package also registers every task with Gymnasium: `gymnasium.make("deepcrl/AntUMaze-v0")`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepcrl.core.components import ENVS, discover
from deepcrl.core.types import VectorEnv
from deepcrl.envs.reference_ids import translated
from deepcrl.envs.settings import EnvItem, VectorSettings
from deepcrl.envs.unstable import UnstableDumps

__all__ = ["EnvItem", "VectorSettings", "make_envs", "make_task"]


def make_task(cfg: Mapping[str, Any]) -> EnvItem:
    """Returns the task of `{"name": ..., hyperparameters...}`, without any simulation: cheap, for its `spec`.

    The name may be an id of scaling-crl or JaxGCRL. Raises ValueError for an unknown name or hyperparameter, or a value
    that the task refuses.
    """
    discover()
    return ENVS.build(translated(cfg))


def make_envs(
    cfg: Mapping[str, Any],
    *,
    num_envs: int,
    episode_length: int,
    seed: int,
    num_threads: int = 0,
    reset: str = "resample",
    physics: str = "mujoco",
    device: str = "cpu",
    unstable_dir: Path | None = None,
) -> VectorEnv:
    """Returns `num_envs` copies of the task `cfg`; see `VectorSettings` for the rest and its errors.

    Simulations that become unstable are dumped into `unstable_dir`, which is made when it is needed.
    """
    settings = VectorSettings(
        num_envs=num_envs,
        episode_length=episode_length,
        seed=seed,
        num_threads=num_threads,
        reset=reset,
        physics=physics,
        device=device,
        unstable=None if unstable_dir is None else UnstableDumps(unstable_dir, cfg),
    )
    return make_task(cfg).vectorize(settings)


_PROGRAMS = ("gallery", "reference")
"""Modules that `python -m` runs, and warns about if they are imported already."""


def _register_with_gymnasium() -> None:
    """Imports every family, for Gymnasium has no entry points since 1.0: a package registers when it is imported."""
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _PROGRAMS:
            importlib.import_module(f"{__name__}.{module.name}")
    importlib.import_module("deepcrl.envs.gymnasium_ids").register_ids()


_register_with_gymnasium()
