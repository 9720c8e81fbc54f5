"""The registries of deepcrl, and `discover`, which fills them: built-in modules first, then plugins."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import pkgutil
from types import ModuleType

from deepcrl.core.registry import Registry

ENVS = Registry("env", "eval_env")
ENCODERS = Registry("encoder", "critic_encoder", "sa_encoder", "goal_encoder", "actor_encoder")
ENERGIES = Registry("energy")
LOSSES = Registry("loss")
BUFFERS = Registry("buffer")
RELABELS = Registry("relabel")
AGENTS = Registry("agent")
LOGGERS = Registry("logger")

REGISTRIES: dict[str, Registry] = {
    "envs": ENVS,
    "encoders": ENCODERS,
    "energies": ENERGIES,
    "losses": LOSSES,
    "buffers": BUFFERS,
    "relabels": RELABELS,
    "agents": AGENTS,
    "loggers": LOGGERS,
}

_BUILT_IN = (
    "deepcrl.envs",
    "deepcrl.nets",
    "deepcrl.core.energies",
    "deepcrl.core.losses",
    "deepcrl.core.buffers",
    "deepcrl.core.agents",
    "deepcrl.run.loggers",
)
PLUGINS_VARIABLE = "DEEPCRL_PLUGINS"
PLUGINS_GROUP = "deepcrl.plugins"


class PluginError(ValueError):
    """A plugin failed to import."""


def discover() -> None:
    """Registers every built-in component, then every plugin. Calling it again changes nothing.

    Plugins are the modules named in `DEEPCRL_PLUGINS` (comma separated) and the installed packages' entry points
    in the group `deepcrl.plugins`. Raises PluginError, with the plugin's name, if one does not import.
    """
    _import_built_in()
    for name in filter(None, (part.strip() for part in os.environ.get(PLUGINS_VARIABLE, "").split(","))):
        _import_plugin(name, f"named in {PLUGINS_VARIABLE}")
    for entry in _entry_points():
        _import_plugin(entry.value.partition(":")[0], f"entry point {entry.name!r}")


@functools.cache
def _import_built_in() -> None:
    for name in _BUILT_IN:
        _import_all(importlib.import_module(name))


@functools.cache
def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    """Plugins of installed packages; cached, because it reads the metadata of every package (60 ms)."""
    return tuple(importlib.metadata.entry_points(group=PLUGINS_GROUP))


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
        _import_all(importlib.import_module(f"{package.__name__}.{module.name}"))


def _import_plugin(module: str, origin: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever a stranger's module raises, the user needs its name
        raise PluginError(f"Plugin {module!r} ({origin}) failed to import: {type(error).__name__}: {error}") from error
