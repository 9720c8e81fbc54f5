"""`resume=RUN_DIR`: the settings to go on with, which are the saved ones but for those that are free to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hydra import compose

from deepcrl.cli.hydra.compose import plain_values
from deepcrl.cli.hydra.overrides import split
from deepcrl.run import checkpoint
from deepcrl.run.directory import RunDir
from deepcrl.run.resume_check import FREE_ON_RESUME, check_resume, lookup
from deepcrl.train.config import GROUPS, OPTIONAL_GROUPS


def saved_choices(arguments: list[str]) -> list[str]:
    """Returns overrides that choose the components of the saved run, where `arguments` resume one and choose none.

    With them `loss.temperature=0.5` beside `resume=` speaks of the saved loss, not of the default one.
    """
    given = dict(map(split, arguments))
    if "experiment" in given:  # whose choices are to be compared with the saved ones, not hidden by them
        return []
    try:
        run_dir = checkpoint.run_dir_of(Path(given["resume"]))
        saved = yaml.safe_load(RunDir(run_dir).config_path.read_text())
    except (KeyError, OSError, ValueError, yaml.YAMLError):
        return []  # nothing to resume, or nothing readable: that is said when the checkpoint is read
    groups = [group for group in (*GROUPS, *OPTIONAL_GROUPS) if group not in given and lookup(saved, f"{group}.name")]
    return [f"{group}={saved[group]['name']}" for group in groups]


def resumed(values: dict[str, Any], overrides: list[str]) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """Returns the settings, the state, and the checkpoint to go on from.

    Raises ValueError for an override, or a setting of an experiment, that contradicts the saved run.
    """
    where = Path(values["resume"])
    if (where / "multirun.yaml").exists() and not RunDir(where).holds_run():
        raise ValueError(f"{where} is a sweep; its command goes on with it if given hydra.sweep.dir={where}")
    path = checkpoint.find(where)
    saved = checkpoint.load(path)
    config, run_dir = saved["config"], path.parent.parent
    keys = [key for key, _ in map(split, overrides) if key not in ("resume", "experiment", "run_dir")]
    asked = {key: lookup(values, key) for key in keys}
    if values["run_dir"] and Path(values["run_dir"]).resolve() != run_dir.resolve():
        raise ValueError(
            f"resume: a run goes on in its own directory, {run_dir}; leave out run_dir={values['run_dir']}"
        )
    if "experiment" in dict(map(split, overrides)):
        asked = _set_by_experiment(values, overrides) | asked
    check_resume(config, asked)
    return config | _free(config, values, keys) | {"run_dir": str(run_dir)}, saved, path


def _free(saved: dict[str, Any], values: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """The settings named by `keys` that may change. What is not named of a logger stays, unless another is chosen."""
    free = {key: values[key] for key in keys if key in FREE_ON_RESUME}
    if saved["logger"]["name"] == values["logger"]["name"]:
        named = {key.partition(".")[2]: lookup(values, key) for key in keys if key.startswith("logger.")}
        free["logger"] = saved["logger"] | named
    return free


def _set_by_experiment(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The settings, dotted, that are otherwise without the experiment; what is free to change is left out.

    Only what is named by itself changes a saved setting: the experiment was there when the run started.
    """
    others = [override for override in overrides if split(override)[0] != "experiment"]
    without = flat(plain_values(compose("train", overrides=others)))
    return {
        key: value
        for key, value in flat(values).items()
        if key.partition(".")[0] not in FREE_ON_RESUME and without.get(key) != value
    }


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings under dotted keys."""
    found = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
