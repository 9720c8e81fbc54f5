"""`deepcrl train`: trains an agent, with Hydra's overrides, sweeps and completion."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from deepcrl.cli.compose import CONFIGS_DIR, plain_values, register_schema
from deepcrl.cli.errors import UserError, one_line_errors, user_errors
from deepcrl.core import checkpoint
from deepcrl.core.config import FREE_ON_RESUME, GROUPS, OPTIONAL_GROUPS, RunConfig, check_resume
from deepcrl.core.session import Session

# At import, not in main(): a joblib worker imports this module to find `train`, and needs the registries filled.
with user_errors():
    register_schema()


def main(arguments: list[str]) -> None:
    """Runs Hydra on the arguments."""
    _check_groups(arguments)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print errors itself; `one_line_errors` does it better
    sys.argv = ["deepcrl train", *arguments]
    train()


@hydra.main(version_base="1.3", config_path=str(CONFIGS_DIR), config_name="train")
def train(cfg: DictConfig) -> float | None:
    """Trains one run; returns its last time_at_goal, which is what a sweeper maximises."""
    # A single run ends here with its one line; a job of a sweep raises, so that the others go on
    single = HydraConfig.get().mode == RunMode.RUN
    with one_line_errors() if single else nullcontext():
        values = plain_values(cfg)
        with user_errors():
            if values["resume"]:
                values, saved = _resumed(values, HydraConfig.get().overrides.task)
            else:
                values["run_dir"], saved = _new_run_dir(values), None
            session = Session(RunConfig.from_dict(values), saved)
        return session.run()


def _check_groups(arguments: list[str]) -> None:
    """Refuses what Hydra answers with a traceback: a key of a group that is not chosen, a number for a group's name."""
    chosen = {key for key, equals, _ in (argument.partition("=") for argument in arguments) if equals}
    for argument in arguments:
        key, _, value = argument.partition("=")
        group = key.partition(".")[0]
        if group in OPTIONAL_GROUPS and key != group and group not in chosen:
            raise UserError(f"{key} has nothing to set: choose {group}=NAME first, beside {argument}")
        if key in (*GROUPS, *OPTIONAL_GROUPS) and value.replace(".", "", 1).isdigit():
            raise UserError(f"{argument}: the {key} is chosen by name, see `deepcrl list`")


def _new_run_dir(values: dict[str, Any]) -> str:
    if values["run_dir"]:
        return values["run_dir"]
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return HydraConfig.get().runtime.output_dir
    return f"runs/{datetime.now():%Y-%m-%d_%H-%M-%S}_{values['env']['name']}_seed{values['seed']}"


def _resumed(values: dict[str, Any], overrides: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the settings and the state to go on with: the saved ones, but for those that are free to change."""
    path = checkpoint.find(Path(values["resume"]))
    saved = checkpoint.load(path)
    keys = [override.partition("=")[0].lstrip("+~") for override in overrides]
    check_resume(saved["config"], {key: _lookup(values, key) for key in keys})
    changed = {key.partition(".")[0] for key in keys} & FREE_ON_RESUME
    free = {key: values[key] for key in changed if key != "run_dir"}
    return saved["config"] | free | {"run_dir": str(path.parent.parent)}, saved


def _lookup(values: dict[str, Any], key: str) -> Any:
    """The value of a dotted key; of a group (`loss=...`) its name; of an experiment, which sets others, its name."""
    value: Any = values
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) and part in value else None
    return value
