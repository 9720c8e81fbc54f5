"""Hydra's copy of the schema: the run's settings and the hyperparameters of every registered component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, make_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf.errors import OmegaConfBaseException

from deepcrl.cli.hydra.help import HELP
from deepcrl.core.components import REGISTRIES, discover
from deepcrl.core.registry import Registry
from deepcrl.train.config import RunConfig

_stored: dict[tuple[str, str], type] = {}
"""The dataclass that Hydra has of each component, by kind and name: storing all of them takes half a second."""


def register_schema() -> None:
    """Stores RunConfig as the schema of `train.yaml`, and each component's dataclass as `{group}/{name}`.

    Called before every composition, so that components registered since the last one are found. Raises ValueError for
    a plugin that does not import, or a hyperparameter of a type that Hydra does not know.
    """
    discover()
    store = ConfigStore.instance()
    store.store(name="run_config", node=RunConfig, provider="deepcrl")
    store.store(group="hydra/help", name="deepcrl", node=HELP, provider="deepcrl")
    for registry in REGISTRIES.values():
        for name in registry:
            _store_component(registry, name)


def _store_component(registry: Registry, name: str) -> None:
    schema = registry.schema(name)
    if _stored.get((registry.kind, name)) is schema:
        return
    node = with_defaults_list(schema, registry.choices[name])
    try:
        for group in registry.groups:
            ConfigStore.instance().store(group=group, name=name, node=node, provider="deepcrl")
    except OmegaConfBaseException as error:
        reason, module = str(error).splitlines()[0], registry[name].__module__
        raise ValueError(f"{registry.kind} {name!r} of {module}: {error.full_key}: {reason}") from error
    _stored[registry.kind, name] = schema


def with_defaults_list(schema: type, choices: Mapping[str, str]) -> type:
    """Returns the schema with a defaults list that chooses options of other groups; as it is without choices.

    Hydra reads the list and removes it from the composed config.
    """
    if not choices:
        return schema
    overrides = [{f"override /{group}@_global_.{group}": option} for group, option in choices.items()]
    defaults = ("defaults", list[Any], field(default_factory=lambda: overrides))
    return make_dataclass(schema.__name__, [defaults], bases=(schema,))
