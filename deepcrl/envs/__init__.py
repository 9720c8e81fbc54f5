"""Goal-reaching environments: tasks in batched torch, N simulations stepped together. May import `core`.

`make_envs` and `make_task` are the way in; a task is one class registered in `ENVS` (see
`deepcrl.envs.task`). Importing this package also registers every task with Gymnasium:
`gymnasium.make("deepcrl/AntUMaze-v0")`.
"""

from __future__ import annotations

import importlib
import pkgutil

from deepcrl.envs.make import make_envs, make_task
from deepcrl.envs.settings import EnvInputs, EnvItem

__all__ = ["EnvInputs", "EnvItem", "make_envs", "make_task"]


def _register_with_gymnasium() -> None:
    """Imports every family, for Gymnasium has no entry points since 1.0: a package registers when it is imported."""
    tasks = importlib.import_module("deepcrl.envs.tasks")
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"{tasks.__name__}.{module.name}")
    importlib.import_module("deepcrl.envs.gymnasium.ids").register_ids()


_register_with_gymnasium()
