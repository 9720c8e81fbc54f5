"""Physics engines behind one seam, `Physics`."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from collections.abc import Callable

import mujoco

from deepcrl.core.registry import suggest
from deepcrl.envs.physics.protocol import Physics

__all__ = ["ENGINES", "Physics", "make_physics"]


def _mujoco(model: mujoco.MjModel, num_sims: int, num_threads: int) -> Physics:
    from deepcrl.envs.physics.mujoco_batch import MujocoBatch

    return MujocoBatch(model, num_sims, num_threads)


ENGINES: dict[str, Callable[[mujoco.MjModel, int, int], Physics]] = {"mujoco": _mujoco}
"""Name to constructor; an engine's own package is imported only when the engine is chosen."""


def make_physics(name: str, model: mujoco.MjModel, num_sims: int, num_threads: int) -> Physics:
    """Returns `num_sims` simulations of `model` on engine `name`. Raises ValueError for an unknown engine."""
    if name not in ENGINES:
        raise ValueError(suggest("physics", name, ENGINES))
    return ENGINES[name](model, num_sims, num_threads)
