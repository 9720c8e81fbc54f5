"""`resume=RUN_DIR` in the words of the command line: which settings it names beside it, and which the experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hydra import compose

from deepcrl.cli.hydra.compose import plain_values
from deepcrl.cli.hydra.overrides import split
from deepcrl.cli.hydra.paths import plain
from deepcrl.core.settings import flatten, lookup
from deepcrl.run import checkpoint, start
from deepcrl.run.directory import RunDir
from deepcrl.run.hints import setting
from deepcrl.run.start import Start
from deepcrl.training.config import GROUPS, OPTIONAL_GROUPS


def saved_choices(arguments: list[str]) -> list[str]:
    """Returns overrides that choose the components of the saved run, where `arguments` resume one and choose none.

    With them `loss.temperature=0.5` beside `resume=` speaks of the saved loss, not of the default one.
    """
    given = dict(map(split, arguments))
    if "experiment" in given:  # whose choices are to be compared with the saved ones, not hidden by them
        return []
    try:
        run_dir = checkpoint.run_dir_of(Path(plain(given["resume"])))
        saved = yaml.safe_load(RunDir(run_dir).config_path.read_text())
    except (KeyError, OSError, ValueError, yaml.YAMLError):
        return []  # nothing to resume, or nothing readable: that is said when the checkpoint is read
    groups = [group for group in (*GROUPS, *OPTIONAL_GROUPS) if group not in given and lookup(saved, f"{group}.name")]
    return [f"{group}={saved[group]['name']}" for group in groups]


def resumed(values: dict[str, Any], overrides: list[str]) -> Start:
    """Resumes the run that `values["resume"]` names. `overrides` are those of the command line.

    Raises ValueError for an override, or a setting of an experiment, that contradicts the saved run.
    """
    where = Path(values["resume"])
    if (where / "multirun.yaml").exists() and not RunDir(where).holds_run():
        raise ValueError(
            f"{where} is a sweep; its command goes on with it if given {setting('hydra.sweep.dir', where)}"
        )
    keys = [key for key, _ in map(split, overrides)]
    asked = {key: lookup(values, key) for key in keys if key not in ("resume", "experiment", "run_dir")}
    experiment = _set_by_experiment(values, overrides) if "experiment" in keys else {}
    return start.resumed(where, asked, experiment, values["run_dir"])


def _set_by_experiment(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Returns the settings, by dotted key, that would be otherwise without the experiment."""
    others = [override for override in overrides if split(override)[0] != "experiment"]
    without = flatten(plain_values(compose("train", overrides=others)))
    return {key: value for key, value in flatten(values).items() if without.get(key) != value}
