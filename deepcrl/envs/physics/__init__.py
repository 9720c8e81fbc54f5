"""Physics engines behind one protocol, `Physics`. May import `core` and `envs`."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import importlib.util
from collections.abc import Callable

import mujoco
import torch

from deepcrl.core.checks import suggest
from deepcrl.envs.physics.protocol import Physics

__all__ = ["ENGINES", "Physics", "check", "make_physics"]


def _mujoco(model: mujoco.MjModel, num_sims: int, num_threads: int, device: torch.device) -> Physics:
    from deepcrl.envs.physics.mujoco_batch import MujocoBatch

    return MujocoBatch(model, num_sims, num_threads)


def _mujoco_warp(model: mujoco.MjModel, num_sims: int, num_threads: int, device: torch.device) -> Physics:
    from deepcrl.envs.physics.mujoco_warp import MujocoWarp

    return MujocoWarp(model, num_sims, device)


ENGINES: dict[str, Callable[[mujoco.MjModel, int, int, torch.device], Physics]] = {
    "mujoco": _mujoco,
    "mujoco_warp": _mujoco_warp,
}
"""Name to constructor; an engine's own package is imported only when the engine is chosen."""


def check(name: str) -> None:
    """Raises ValueError for an unknown engine or one whose package is missing. Imports nothing."""
    if name not in ENGINES:
        raise ValueError(suggest("physics", name, ENGINES))
    if name == "mujoco_warp" and importlib.util.find_spec("mujoco_warp") is None:
        raise ValueError("physics=mujoco_warp: the package mujoco-warp is not installed; pip install 'deepcrl[warp]'")


def make_physics(
    name: str, model: mujoco.MjModel, num_sims: int, num_threads: int, device: torch.device | str = "cpu"
) -> Physics:
    """Returns `num_sims` simulations of `model` on engine `name`.

    `mujoco` runs on `num_threads` CPU threads whatever the device, `mujoco_warp` on `device`. Raises ValueError for an
    unknown engine, a missing package, and a model that the engine cannot simulate.
    """
    check(name)
    return ENGINES[name](model, num_sims, num_threads, torch.device(device))
