"""Hydra's view of the schema: the run's settings, and each registered component as an option of its groups.

A component's dataclass is made into a config when a composition asks for it: making all of them takes half a second,
and Hydra copies whatever is in its ConfigStore at every composition.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import field, make_dataclass
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepcrl.cli.hydra.help import HELP
from deepcrl.core.components import REGISTRIES, discover
from deepcrl.core.registry import Registry
from deepcrl.training.config import RunConfig

PATH = "deepcrl://registries"


def register_schema() -> None:
    """Makes RunConfig known as the schema of `train.yaml`, and each component as `{group}/{name}`.

    Called before every composition, so that plugins are there. Raises ValueError for a plugin that does not import, or
    whose hyperparameter has a type that Hydra does not know.
    """
    discover()
    _store_settings()
    for registry in REGISTRIES.values():
        for name in registry:
            if not registry[name].__module__.startswith("deepcrl."):  # ours are composed by the tests
                config_of(registry, name)


@functools.cache
def _store_settings() -> None:
    store = ConfigStore.instance()
    store.store(name="run_config", node=RunConfig, provider="deepcrl")
    store.store(group="hydra/help", name="deepcrl", node=HELP, provider="deepcrl")
    Plugins.instance().register(RegistrySource)
    Plugins.instance().register(RegistrySearchPath)


class RegistrySearchPath(SearchPathPlugin):
    """Lets Hydra look for options among the registered components, after the files of `configs`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="deepcrl", path=PATH)


class RegistrySource(ConfigSource):
    """The registries as Hydra sees a folder of YAML files: a group is a folder, a component a file."""

    @staticmethod
    def scheme() -> str:
        return "deepcrl"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path.rstrip("/") in ("", *_groups())

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        return name in _groups().get(group, ())

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        wanted = ObjectType.CONFIG if config_path.strip("/") else ObjectType.GROUP
        if results_filter not in (None, wanted):
            return []
        return sorted(_groups().get(config_path.strip("/"), ()) if wanted is ObjectType.CONFIG else _groups())

    def load_config(self, config_path: str) -> ConfigResult:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        config = config_of(_groups()[group], name)
        return ConfigResult(provider=self.provider, path=self.full_path(), config=config, header={"package": None})


def _groups() -> dict[str, Registry]:
    return {group: registry for registry in REGISTRIES.values() for group in registry.groups}


def config_of(registry: Registry, name: str) -> Any:
    """Returns a component's hyperparameters as a typed config; ValueError for a type that Hydra does not know."""
    try:
        return OmegaConf.structured(with_defaults_list(registry.schema(name), registry.choices[name]))
    except OmegaConfBaseException as error:
        reason, module = str(error).splitlines()[0], registry[name].__module__
        raise ValueError(f"{registry.kind} {name!r} of {module}: {error.full_key}: {reason}") from error


def with_defaults_list(schema: type, choices: Mapping[str, str]) -> type:
    """Returns the schema with a defaults list that chooses options of other groups; as it is without choices.

    Hydra reads the list and removes it from the composed config.
    """
    if not choices:
        return schema
    overrides = [{f"override /{group}@_global_.{group}": option} for group, option in choices.items()]
    defaults = ("defaults", list[Any], field(default_factory=lambda: overrides))
    return make_dataclass(schema.__name__, [defaults], bases=(schema,))
