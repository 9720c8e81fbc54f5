"""From the name of a task to the task, and to N simulations of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepcrl.core.components import ENVS, discover
from deepcrl.core.types import VectorEnv
from deepcrl.envs.check import check_task, is_ours
from deepcrl.envs.gymnasium.task import GymnasiumTask
from deepcrl.envs.gymnasium.vector import GymnasiumVectorEnv
from deepcrl.envs.physics.unstable import UnstableDumps
from deepcrl.envs.settings import EnvInputs, EnvItem, Vectorizes
from deepcrl.envs.source_ids import translate_cfg
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv


def make_task(cfg: Mapping[str, Any]) -> EnvItem:
    """Returns the task of `{"name": ..., hyperparameters...}`, without any simulation: cheap, for its `spec`.

    The name may be an id of scaling-crl or JaxGCRL. Raises ValueError for an unknown name or hyperparameter, or a value
    that the task refuses.
    """
    discover()
    return ENVS.build(translate_cfg(cfg))


def vectorize(item: EnvItem, inputs: EnvInputs) -> VectorEnv:
    """Returns `inputs.num_envs` copies of `item`: by its own `vectorize` if it has one, else by the class of its kind.

    Raises ValueError for an item of no known kind, and where the vector does.
    """
    if isinstance(item, Vectorizes):
        return item.vectorize(inputs)
    if isinstance(item, GoalTask):
        return TaskVectorEnv(item, inputs)
    if isinstance(item, GymnasiumTask):
        return GymnasiumVectorEnv(item, inputs)
    raise ValueError(f"env: {type(item).__name__} is neither a GoalTask nor has it a method vectorize(inputs)")


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
    """Returns `num_envs` copies of the task `cfg`; see `EnvInputs` for the rest and its errors.

    A GoalTask of a plugin is checked first: ValueError names the task and what of it is wrong.

    Simulations that become unstable are dumped into `unstable_dir`, which is made when it is needed.
    """
    inputs = EnvInputs(
        num_envs=num_envs,
        episode_length=episode_length,
        seed=seed,
        num_threads=num_threads,
        reset=reset,
        physics=physics,
        device=device,
        unstable=None if unstable_dir is None else UnstableDumps(unstable_dir, cfg),
    )
    task = make_task(cfg)
    if isinstance(task, GoalTask) and not is_ours(task):
        check_task(task, cfg["name"])
    return vectorize(task, inputs)
