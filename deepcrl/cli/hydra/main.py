"""What Hydra calls for each run of `deepcrl train`: with the composed config, in this process or in a launcher's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from deepcrl.cli.hydra import overrides, run_names, sweep
from deepcrl.cli.hydra.compose import CONFIGS_DIR, new_run_dir, plain_values
from deepcrl.cli.hydra.errors import one_line_errors, user_errors
from deepcrl.cli.hydra.resume import resumed
from deepcrl.cli.hydra.schema import register_schema
from deepcrl.run.start import Start, continued, fresh
from deepcrl.run.training import train_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.validate import validated

# At import: a joblib worker imports this module to find `_train`, and needs the registries filled
with user_errors():
    register_schema()
run_names.register()


@hydra.main(version_base="1.3", config_path=str(CONFIGS_DIR), config_name="train")
def train(cfg: DictConfig) -> float | None:
    """Trains one run; returns its score (`final_score`), which is what a sweeper maximises."""
    if _in_a_sweep():
        return sweep.guarded(lambda interrupt: _train(cfg, interrupt), Path(HydraConfig.get().runtime.output_dir))
    with one_line_errors():
        return _train(cfg, Interrupt())


def _train(cfg: DictConfig, interrupt: Interrupt) -> float | None:
    with user_errors():
        start = _start(plain_values(cfg), HydraConfig.get().overrides.task)
    return train_run(start, interrupt)


def _start(values: dict[str, Any], given: list[str]) -> Start:
    """Decides whether the run is resumed, continued in a sweep, or fresh; ValueError if it cannot be that."""
    if values["resume"]:
        return resumed(values, given)
    overrides.check_used(values["agent"]["name"], given)
    if _in_a_sweep() and not values["run_dir"]:
        return continued(validated(values | {"run_dir": HydraConfig.get().runtime.output_dir}))
    return fresh(validated(values | {"run_dir": values["run_dir"] or new_run_dir(values)}))


def _in_a_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN
