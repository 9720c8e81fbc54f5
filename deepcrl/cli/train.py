"""`deepcrl train`: trains an agent, with Hydra's overrides, sweeps and completion."""

from __future__ import annotations

import os
import sys
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from deepcrl.cli.hydra import overrides, sweep
from deepcrl.cli.hydra.compose import CONFIGS_DIR, plain_values
from deepcrl.cli.hydra.errors import UserError, one_line_errors, user_errors
from deepcrl.cli.hydra.resume import resumed, saved_choices
from deepcrl.cli.hydra.schema import register_schema
from deepcrl.run.start import Start, continued, fresh
from deepcrl.run.training import train_run
from deepcrl.train.validate import validated

# At import, not in main(): a joblib worker imports this module to find `train`, and needs the registries filled.
with user_errors():
    register_schema()


def main(arguments: list[str]) -> None:
    """Runs Hydra on the arguments."""
    with user_errors():
        register_schema()  # once more, for what was registered since
        overrides.check(arguments)
        arguments = overrides.translate_ids(arguments)
    arguments = overrides.to_hydra_syntax(arguments)
    extra = (
        overrides.name_runs_by_swept_settings(arguments) if overrides.is_sweep(arguments) else saved_choices(arguments)
    )
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print errors itself; `one_line_errors` does it better
    completing = "-sc" in arguments or "--shell-completion" in arguments
    sys.argv = ["deepcrl" if completing else "deepcrl train", *overrides.flags_first([*extra, *arguments])]
    try:
        train()
    except AssertionError as error:  # OmegaConf's answer to `actor_encoder.depth=8` while there is no actor_encoder
        if "Unexpected type" in str(error) and (message := overrides.setting_of_unchosen_group(arguments)):
            raise UserError(message) from error
        raise
    except BrokenProcessPool as error:  # joblib's, when a worker is killed
        raise UserError("a run's process was killed (out of memory?); the same command goes on") from error
    except ValueError as error:
        if "No trials are completed" in str(error):  # Optuna has nothing to name the best of
            raise UserError("every run of the sweep failed; each has its error.txt") from error
        raise


@hydra.main(version_base="1.3", config_path=str(CONFIGS_DIR), config_name="train")
def train(cfg: DictConfig) -> float | None:
    """Trains one run; returns its last time_at_goal, which is what a sweeper maximises."""
    if _in_a_sweep():
        return sweep.guarded(lambda: _train(cfg), Path(HydraConfig.get().runtime.output_dir))
    with one_line_errors():
        return _train(cfg)


def _train(cfg: DictConfig) -> float | None:
    with user_errors():
        start = _start(plain_values(cfg), HydraConfig.get().overrides.task)
    return train_run(start)


def _start(values: dict[str, Any], given: list[str]) -> Start:
    """Decides whether the run is resumed, continued in a sweep, or fresh; ValueError if it cannot be that."""
    if values["resume"]:
        return resumed(values, given)
    overrides.check_used(values["agent"]["name"], given)
    if _in_a_sweep() and not values["run_dir"]:
        return continued(validated(values | {"run_dir": HydraConfig.get().runtime.output_dir}))
    return fresh(validated(values | {"run_dir": values["run_dir"] or _new_run_dir(values)}))


def _in_a_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _new_run_dir(values: dict[str, Any]) -> str:
    return f"runs/{datetime.now():%Y-%m-%d_%H-%M-%S}_{values['env']['name']}_seed{values['seed']}"
