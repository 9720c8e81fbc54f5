"""How a run starts: fresh, resumed, or continued in a sweep. All three come to the same `Start`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deepcrl.core.settings import flatten, lookup, split_key, updated
from deepcrl.run.checkpoint import Checkpoint, CheckpointError, find, list_checkpoints
from deepcrl.run.directory import CHECKPOINTS, RunDir, check_unused
from deepcrl.run.hints import setting
from deepcrl.run.metrics import read_rows
from deepcrl.run.plots import stats
from deepcrl.training.config import RunConfig
from deepcrl.training.schedule import Schedule
from deepcrl.training.validate import validated

# Settings that may differ when a run is resumed: they change how long, how watched and how fast, not what is learned.
FREE_ON_RESUME = (
    "total_env_steps",
    "total_grad_steps",
    "eval_every",
    "checkpoint_every",
    "keep_checkpoints",
    "logger",
    "num_threads",
    "video",
    "log_blocks",
)


class StartError(ValueError):
    """A run cannot be started as it is asked for; the message is one line."""


@dataclass(frozen=True, slots=True)
class Start:
    """What `train_run` needs to know: the settings, the checkpoint to resume from, and where the run is written."""

    config: RunConfig
    checkpoint: Checkpoint | None
    """None for a run that begins at its beginning."""
    directory: RunDir
    score: float | None = None
    """The score of a run that is complete already, for which there is nothing left to do."""
    anew: bool = False
    """Whether a run that stopped before its first checkpoint is in the directory, and is to be replaced."""
    newest: Checkpoint | None = field(init=False, compare=False)
    """The last checkpoint there is, compared again under the lock: another process may have written meanwhile."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "newest", newest_checkpoint(self.directory))

    def check_unchanged(self) -> None:
        """Raises ValueError if another process has written to the directory since; called under the lock."""
        if newest_checkpoint(self.directory) != self.newest:
            raise ValueError(f"{self.directory.path} was written by another deepcrl run meanwhile; ask again")
        if self.checkpoint is None and not self.anew:
            check_unused(self.directory)


def newest_checkpoint(directory: RunDir) -> Checkpoint | None:
    """Returns the last checkpoint of a run, None before its first one."""
    checkpoints = list_checkpoints(directory.checkpoints_dir)
    return checkpoints[-1] if checkpoints else None


def fresh(config: RunConfig) -> Start:
    """Starts a new run in `config.run_dir`; ValueError if that holds one already."""
    directory = RunDir(Path(config.run_dir))
    check_unused(directory)
    return Start(config, None, directory)


def resumed(where: str | Path, asked: Mapping[str, Any], experiment: Mapping[str, Any], run_dir: str = "") -> Start:
    """Resumes the run of the checkpoint that `where` names, in its own directory, with its own settings.

    `asked` are the settings that the user named beside it, by dotted key; those that are free to change are taken over.
    `experiment` are those of an experiment that the user named, which change nothing. A run that stopped before its
    first checkpoint starts anew. Raises CheckpointError if there is nothing to resume, and ValueError for a setting, or
    a `run_dir`, that contradicts the saved run.
    """
    directory = RunDir(Path(where))
    anew = directory.config_path.exists() and newest_checkpoint(directory) is None
    checkpoint = None if anew else find(where)
    if checkpoint is None:
        saved = _saved_settings(directory)
    else:
        if checkpoint.path.parent.name != CHECKPOINTS:  # what to cut and what to set aside is known of these alone
            raise CheckpointError(
                f"{checkpoint.path} is no checkpoint to go on from, but beside those of its run (eval and play read "
                f"it); go on with the run by {setting('resume', checkpoint.run_dir)}"
            )
        saved, directory = checkpoint.config, RunDir(checkpoint.run_dir)
    if run_dir and Path(run_dir).resolve() != directory.path.resolve():
        raise ValueError(f"resume: a run goes on in its own directory, {directory.path}; leave out run_dir={run_dir}")
    check_resume(saved, {**experiment, **asked})
    free = {key: value for key, value in asked.items() if split_key(key)[0] in FREE_ON_RESUME}
    if "logger" in free and free["logger"]["name"] == saved["logger"]["name"]:
        del free["logger"]  # chosen as it was: what is not named of it stays
    values = updated(saved, free) | {"run_dir": str(directory.path)}
    return Start(validated(values), checkpoint, directory, anew=anew)


def continued(config: RunConfig) -> Start:
    """Starts the run of a sweep in `config.run_dir`: from the newest checkpoint there, or at its beginning.

    The same command started it before, perhaps: it may be complete. A run that stopped before its first checkpoint
    starts anew. Raises ValueError if the run there has other settings.
    """
    directory = RunDir(Path(config.run_dir))
    if directory.holds_run():
        asked = flatten(config.to_dict())
        check_resume(_saved_settings(directory), {k: v for k, v in asked.items() if k not in ("run_dir", "resume")})
    checkpoint = newest_checkpoint(directory)
    if checkpoint is None:
        return Start(config, None, directory, anew=directory.holds_run())
    return Start(config, checkpoint, directory, final_score(directory, config))


def check_resume(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises ValueError if `asked`, settings by dotted key, contradict those of a saved run.

    A group (`loss=...`) is compared by the name of its choice.
    """
    for key, value in asked.items():
        if split_key(key)[0] in FREE_ON_RESUME:
            continue
        before, now = _choice(lookup(saved, key)), _choice(value)
        if before != now:
            raise ValueError(
                f"resume: {key}={now} contradicts the saved run, which has {key}={before}; "
                f"start a new run to change it (free to change: {', '.join(FREE_ON_RESUME)})"
            )


def _choice(value: Any) -> Any:
    return value.get("name", value) if isinstance(value, dict) else value


def _saved_settings(directory: RunDir) -> dict[str, Any]:
    try:
        return yaml.safe_load(directory.config_path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{directory.config_path} cannot be read; remove {directory.path} to run it anew") from error


def final_score(directory: RunDir, config: RunConfig) -> float | None:
    """Returns the mean of the last five time_at_goal of a run that has come to its schedule's end, None for any other.

    The end is on disk twice, as a row of metrics with an evaluation and as a checkpoint: a run that was stopped
    between the two is not complete.
    """
    schedule = Schedule.of(config)
    end = (schedule.total_env_steps, schedule.total_grad_steps)
    saved = list_checkpoints(directory.checkpoints_dir)
    if not saved or (saved[-1].env_steps, saved[-1].grad_steps) < end or not directory.metrics_path.exists():
        return None
    rows, _ = read_rows(directory.metrics_path)
    if not rows or (rows[-1]["env_steps"], rows[-1]["grad_steps"]) < end:
        return None
    scores = [(row["grad_steps"], row["eval/time_at_goal"]) for row in rows if "eval/time_at_goal" in row]
    return stats.final_score(*np.array(scores, float).T) if "eval/time_at_goal" in rows[-1] else None
