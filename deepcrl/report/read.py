"""Finds run directories and reads them; what is damaged or missing is noted, never fatal to the others."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deepcrl.core.checks import suggest
from deepcrl.report.check import check_config
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import COUNTERS, parse_row
from deepcrl.training.validate import validated

SCORE = "eval/time_at_goal"
UNMEASURED = math.nan
MAX_BYTES = (100_000, 256 * 2**20, 16 * 2**20)
"""Of config.yaml, metrics.jsonl and environment.json: many times what a run writes, and read in seconds."""
MAX_MEASURED = 1e100
"""Of any metric: sums and pictures of larger ones are none."""
MAX_BAD_LINES = 1000
"""More than there are rows."""
ACTING = "acting"
"""What tells the agent that acts from learners beside it, as the setting `learner`."""


@dataclass
class RunRecord:
    """One run as it lies on disk."""

    path: Path
    config: dict[str, Any]
    rows: list[dict[str, float]]
    num_bad_lines: int = 0
    environment: dict[str, Any] = field(default_factory=dict)
    """How the run was last started: command, git revision, versions, machine; empty if that is not known."""
    learner: str = ""
    """Which of its learners this is; empty for the agent that acts."""
    score: str = SCORE
    """The metric that runs are compared by."""

    @property
    def name(self) -> str:
        return f"{self.path} ({self.learner})" if self.learner else str(self.path)

    @property
    def seed(self) -> int:
        return self.config.get("seed", 0)

    @property
    def task(self) -> str:
        """The name of the environment that the run is scored in."""
        return str((self.config.get("eval_env") or self.config["env"])["name"])

    @cached_property
    def evaluations(self) -> list[dict[str, float]]:
        return [row for row in self.rows if math.isfinite(row.get(self.score, UNMEASURED))]

    def series(self, key: str) -> dict[str, np.ndarray]:
        """Returns the counters and `value`, each [R], of the rows with a finite `key`."""
        rows = [row for row in self.rows if math.isfinite(row.get(key, UNMEASURED))]
        columns = {counter: np.array([row[counter] for row in rows], float) for counter in COUNTERS}
        return columns | {"value": np.array([row[key] for row in rows], float)}

    def last(self, counter: str) -> float:
        return self.rows[-1][counter]

    def gifs(self) -> list[Path]:
        """Returns the run's films, the newest last: of the agent that acts. A link out of the run is no film of it."""
        if self.learner:
            return []
        found = [*self.path.glob("*.gif"), *RunDir(self.path).videos_dir.glob("*.gif")]
        films = [path for path in found if path.is_file() and lies_within(path, self.path)]
        return sorted(films, key=lambda path: (path.stat().st_mtime, path.name))


@dataclass(frozen=True, slots=True)
class Found:
    """The runs that can be compared, and one line for everything that could not be read or is incomplete."""

    runs: list[RunRecord]
    notes: list[str]


def lies_within(path: Path, directory: Path) -> bool:
    """Whether `path` is in `directory` once links are followed: a link in somebody's run could lead to any file."""
    try:
        return path.resolve().is_relative_to(directory.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def read_runs(paths: Iterable[str | Path], score: str = SCORE) -> Found:
    """Reads every run in the folders `paths`, which may be runs themselves, sweeps, or folders of those.

    They will be compared by the metric `score`. Raises ValueError, in one line, for a path that cannot be read, for no
    run at all, and if no run has measured it.
    """
    paths = [Path(path) for path in paths]
    runs, notes = [], []
    for directory in _distinct(paths):
        try:
            run = replace(_read(directory), score=score)
        except (OSError, ValueError) as error:
            notes.append(f"{directory}: {' '.join(str(error).split())}; left out")
            continue
        notes += _remarks(run)
        if run.evaluations:
            own, unknown = _with_learners(run)
            runs += own
            notes += unknown
    where = ", ".join(map(str, paths))
    if not runs and not notes:
        raise ValueError(f"No run in {where}: a run directory has a config.yaml and a metrics.jsonl")
    if not runs:
        more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        raise ValueError(f"No run in {where} can be compared: {notes[0]}{more}")
    return Found(runs, notes)


def _distinct(paths: list[Path]) -> list[Path]:
    """Returns the run directories under `paths`, each once, in order."""
    found: dict[Path, Path] = {}
    for path in paths:
        for directory in sorted(_run_dirs(path)):
            found.setdefault(directory.resolve(), directory)
    return list(found.values())


def _run_dirs(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if not path.is_dir():
        raise ValueError(f"{path} is a file; name a run directory, or a folder of them")

    def stop(error: OSError) -> None:
        raise ValueError(f"Cannot read {error.filename}: {error.strerror}") from error

    for directory, children, _ in os.walk(path, onerror=stop):
        if RunDir(Path(directory)).holds_run():
            children.clear()  # there are no runs within a run
            yield Path(directory)


def _read(directory: Path) -> RunRecord:
    """Reads one run; ValueError or OSError if it cannot be told what was run, or if nothing was measured."""
    run = RunDir(directory)
    if not run.config_path.exists():
        raise ValueError("there is no config.yaml")
    for path, most in zip((run.config_path, run.metrics_path, run.environment_path), MAX_BYTES, strict=True):
        _check_file(path, directory, most)
    try:
        config = yaml.safe_load(run.config_path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("config.yaml is damaged") from error
    check_config(config)
    rows, num_bad = _rows(run.metrics_path) if run.metrics_path.exists() else ([], 0)
    if not rows:
        raise ValueError("there are no metrics yet")
    return RunRecord(directory, config, rows, num_bad, _last_start(run.environment_path))


def _check_file(path: Path, directory: Path, most: int) -> None:
    """Raises ValueError for what cannot be read, or would never end: a pipe, a device, gigabytes of anything."""
    if not lies_within(path, directory):
        raise ValueError(f"{path.name} is a link that leads out of the run")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path.name} is no file")
    if path.exists() and path.stat().st_size > most:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes, and a run's has at most {most:,}")


def _rows(path: Path) -> tuple[list[dict[str, float]], int]:
    """As `read_rows`, but ValueError where nearly all lines are no rows: there may be millions of them."""
    rows, num_bad = [], 0
    with path.open("rb") as file:
        for line in file:
            row = parse_row(line)
            if row is not None and not any(MAX_MEASURED < abs(value) < math.inf for value in row.values()):
                rows.append(row)
                continue
            num_bad += 1
            if num_bad > len(rows) + MAX_BAD_LINES:
                raise ValueError(f"{path.name} is damaged: of its first lines {num_bad:,} are no rows")
    return rows, num_bad


def _with_learners(run: RunRecord) -> tuple[list[RunRecord], list[str]]:
    """Returns the run, its learners (docs/collector.md) as runs of their own, and a line for each that cannot be told.

    A learner's record has its own settings, the run's seed and counters, and its metrics without its name.
    """
    records, notes = [run], []
    for name in run.config.get("learners") or {}:
        try:
            config = validated(run.config).learner(name).to_dict()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            notes.append(f"{run.path}: learner {name} left out, {' '.join(str(error).split())}")
            continue
        config |= {"learner": name, "seed": run.seed}
        learner = replace(run, learner=name, config=config, rows=_rows_of(run, name))
        records += [learner] if learner.evaluations else []
    if len(records) > 1:
        records[0] = replace(run, config=run.config | {"learner": ACTING})
    return records, notes


def _rows_of(run: RunRecord, learner: str) -> list[dict[str, float]]:
    prefix = f"{learner}/"
    return [
        {counter: row[counter] for counter in COUNTERS}
        | {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
        for row in run.rows
    ]


def _last_start(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text())["starts"][-1])
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return {}


def _remarks(run: RunRecord) -> list[str]:
    remarks = []
    if run.num_bad_lines:
        lines = "line" if run.num_bad_lines == 1 else "lines"
        remarks.append(f"{run.path}: {run.num_bad_lines} corrupted {lines} of metrics.jsonl skipped")
    if not run.evaluations and run.score != SCORE:
        known = sorted({key for row in run.rows for key in row if "/" in key})
        remarks.append(f"{run.path}: {suggest('metric', run.score, known)}; left out")
    elif not run.evaluations:
        remarks.append(f"{run.path}: no evaluation yet (eval_every={run.config.get('eval_every')}); left out")
    return remarks
