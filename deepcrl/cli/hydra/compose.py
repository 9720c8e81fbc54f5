"""Where the configs are, and how they are composed to plain values."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from deepcrl.cli.hydra.overrides import to_hydra_syntax
from deepcrl.cli.hydra.schema import register_schema


def project_dir(name: str) -> Path:
    """Returns a top-level folder of the project: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


CONFIGS_DIR = project_dir("configs")
"""Absolute: Hydra looks for a relative one beside the console script."""


def compose_values(overrides: list[str]) -> dict[str, Any]:
    """Composes `train.yaml` with `overrides` outside of Hydra's main, as plain values."""
    register_schema()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS_DIR)):
        return plain_values(compose("train", overrides=to_hydra_syntax(overrides)))


def plain_values(cfg: Any) -> dict[str, Any]:
    """Resolves a composed config into plain dicts, lists and values: below the command line there is no DictConfig."""
    values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key not in ("hydra", "experiment")}


def new_run_dir(values: dict[str, Any]) -> str:
    """Returns where a run goes that was given no directory: by time, environment and seed."""
    return f"runs/{datetime.now():%Y-%m-%d_%H-%M-%S}_{values['env']['name']}_seed{values['seed']}"
