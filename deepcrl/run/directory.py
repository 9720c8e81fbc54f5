"""A run directory explains itself: what was run, with which code, on which machine. Written before step 0.

config.yaml        the resolved configuration
environment.json   the run's id; code revision, versions, machine and command line, once per start or resume
metrics.jsonl      every metric row (see deepcrl.run.metrics)
checkpoints/ plots/ videos/
unstable/          simulations that became unstable, if any did (see deepcrl.envs.physics.unstable)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deepcrl.core.files import UNFINISHED, damaged_name, write_atomic
from deepcrl.run.environment import ENVIRONMENT, describe_environment, new_run_id, run_id_of
from deepcrl.run.hints import setting
from deepcrl.run.lock import NAME as LOCK

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class RunDir:
    """The layout of one run's directory."""

    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "config.yaml"

    @property
    def environment_path(self) -> Path:
        return self.path / ENVIRONMENT

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def plots_dir(self) -> Path:
        return self.path / "plots"

    @property
    def videos_dir(self) -> Path:
        return self.path / "videos"

    @property
    def unstable_dir(self) -> Path:
        return self.path / "unstable"

    def holds_run(self) -> bool:
        """Whether a run has been started here."""
        return self.config_path.exists() or self.metrics_path.exists()


def check_unused(run: RunDir) -> None:
    """Raises ValueError if a run has been started in the directory."""
    if run.holds_run():
        raise ValueError(
            f"{run.path} already holds a run; go on with it by {setting('resume', run.path)}, or choose another run_dir"
        )


def create(run: RunDir) -> bool:
    """Creates the directory where there is none and returns whether it is new; ValueError if that cannot be done."""
    is_new = not run.path.exists()
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"Cannot write to run_dir {run.path}: {error.strerror or error}") from error
    return is_new


def prepare(run_dir: str | Path, config: Mapping[str, Any], *, resume: bool, run_id: str | None = None) -> RunDir:
    """Creates `run_dir` and writes config.yaml and environment.json into it.

    The run keeps its id: that of environment.json, else `run_id`, which its checkpoint brings; a new run gets a new
    one. A resumed run gets the configuration that it goes on with, and one more entry in environment.json.
    Raises ValueError, and leaves what is there as it is, if the directory already holds a run and `resume` is
    false, or if it cannot be written.
    """
    run = RunDir(Path(run_dir))
    if not resume:
        check_unused(run)
    starts = [*_earlier_starts(run.environment_path), describe_environment()]
    # Through JSON: paths become strings and tuples lists, so that the YAML needs no Python tags to read back.
    plain = json.loads(json.dumps(config, default=str))
    try:
        for directory in (run.path, run.checkpoints_dir, run.plots_dir, run.videos_dir):
            directory.mkdir(parents=True, exist_ok=True)
        for left_by_a_killed_process in (*run.plots_dir.glob(UNFINISHED), *run.videos_dir.glob(UNFINISHED)):
            left_by_a_killed_process.unlink()
        write_atomic(run.config_path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120))
        facts = {"run_id": run_id_of(run.path) or run_id or new_run_id(), "starts": starts}
        write_atomic(run.environment_path, json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise ValueError(f"Cannot write to run_dir {run.path}: {error.strerror or error}") from error
    return run


def _earlier_starts(path: Path) -> list[Any]:
    try:
        return list(json.loads(path.read_text())["starts"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def keep_damaged(run: RunDir) -> str:
    """Puts aside an environment.json that cannot be read, before `prepare` replaces it; returns a line that says so.

    "" if it is as it should be. Raises OSError if the disk refuses.
    """
    path = run.environment_path
    if _earlier_starts(path):
        return ""
    lost = f"{path} is {'damaged' if path.exists() else 'missing'}: what it said of earlier starts is lost"
    if not (path.exists() or path.is_symlink()):
        return lost
    aside = damaged_name(path)
    path.rename(aside)
    return f"{lost}; as it was: {aside}"


def clear(run: RunDir) -> bool:
    """Makes room for a run that starts anew where one stopped before its first checkpoint; returns whether it had rows.

    Those are kept in `aside_metrics.jsonl`: perhaps the checkpoints were removed by hand.
    """
    had_rows = run.metrics_path.exists() and run.metrics_path.stat().st_size > 0
    if had_rows:
        run.metrics_path.replace(run.path / "aside_metrics.jsonl")
    run.metrics_path.unlink(missing_ok=True)
    run.config_path.unlink(missing_ok=True)
    return had_rows


def discard(run: RunDir, *, is_new: bool) -> None:
    """Removes a run directory that never became a run; of one that existed before, only what was put there."""
    if is_new:
        shutil.rmtree(run.path, ignore_errors=True)
    for file in (run.config_path, run.environment_path, run.metrics_path, run.path / LOCK):
        file.unlink(missing_ok=True)
