"""Where the configs are, and how Hydra learns the schema of `train.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from deepcrl.cli.hydra.help import HELP
from deepcrl.cli.hydra.overrides import in_hydras_words
from deepcrl.core.components import discover
from deepcrl.train.config import RunConfig


def packaged(name: str) -> Path:
    """Returns a top-level folder of the project: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


CONFIGS_DIR = packaged("configs")
"""Absolute: Hydra looks for a relative one beside the console script."""


def register_schema() -> None:
    """Makes RunConfig the schema of `train.yaml`, and fills the registries."""
    discover()
    ConfigStore.instance().store(name="run_config", node=RunConfig, provider="deepcrl")
    ConfigStore.instance().store(group="hydra/help", name="deepcrl", node=HELP, provider="deepcrl")


def compose_values(overrides: list[str]) -> dict[str, Any]:
    """Composes `train.yaml` with `overrides` outside of Hydra's main, as plain values."""
    register_schema()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS_DIR)):
        return plain_values(compose("train", overrides=in_hydras_words(overrides)))


def plain_values(cfg: Any) -> dict[str, Any]:
    """Resolves a composed config into plain dicts, lists and values: below the command line there is no DictConfig."""
    values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key not in ("hydra", "experiment")}
