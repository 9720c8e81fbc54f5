"""Sweeps: a run that fails does not stop the others, and the same command in the same directory goes on with the rest.

A sweep is a directory with a run in each subdirectory. What a run left there says how it stands: complete, to be
resumed from its newest checkpoint, or failed, with the reason in `error.txt`.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from deepcrl.cli import supervisor
from deepcrl.cli.hydra.errors import USER_ERRORS, cause_of, fail, one_line
from deepcrl.cli.plugin_fault import plugin_fault
from deepcrl.core.files import write_atomic
from deepcrl.run.directory import RunDir
from deepcrl.run.start import final_score
from deepcrl.train.interrupt import Interrupt
from deepcrl.train.validate import validated

ERROR = "error.txt"


def guarded(start: Callable[[Interrupt], float | None], directory: Path) -> float | None:
    """Calls `start`, one run of a sweep. If it fails, the reason is left in `directory`, and its score is None.

    Sweepers that want a score, such as Optuna, count None as a failed trial. In a process of a supervised sweep, so is
    a run that a signal stopped: its exit would have the launcher kill the others while they save.
    """
    if not supervisor.is_supervised():
        return _guarded(start, directory, Interrupt())
    with Interrupt() as interrupt, supervisor.announced():
        if supervisor.is_stopped():
            return None
        try:
            return _guarded(start, directory, interrupt)
        except SystemExit as exited:
            if interrupt.signal_number is None or exited.code != 128 + interrupt.signal_number:
                raise  # a launcher's own way to put the run back into its queue
            return None


def _guarded(start: Callable[[Interrupt], float | None], directory: Path, interrupt: Interrupt) -> float | None:
    (directory / ERROR).unlink(missing_ok=True)
    try:
        score = start(interrupt)
    except Exception as error:
        told = plugin_fault(cause_of(error))
        line = told.splitlines()[0] if told else one_line(error)
        trace = "" if isinstance(error, USER_ERRORS) and not told else f"\n{traceback.format_exc()}"
        write_atomic(directory / ERROR, f"{line}\n{trace}")
        print(f"deepcrl: {directory.name}: {line}", file=sys.stderr)
        return None
    except SystemExit:  # a signal, after which the run has been saved
        if not supervisor.is_supervised():
            print(f"The sweep stops here. The same command goes on, with hydra.sweep.dir={directory.parent}")
        raise
    (directory / ERROR).unlink(missing_ok=True)  # of another process, which found this one at work
    return score


class Summary(Callback):
    """Prints how each run of a sweep stands; exit status 2 if one is not complete."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra after the last run, in the process that was started."""
        directory = Path(config.hydra.sweep.dir)
        if supervisor.is_stopped():
            print(f"The sweep stops here. The same command goes on, with hydra.sweep.dir={directory}")
            return
        standings = {path.name: standing(path) for path in _runs(directory)}
        width = max(map(len, standings), default=0)
        print(f"\nSweep {directory}:")
        for name, (state, what) in standings.items():
            print(f"  {name:<{width}}  {state:<10}  {what}")
        open_ends = sum(state != "complete" for state, _ in standings.values())
        if open_ends:
            total, again = len(standings), f"the same command, with hydra.sweep.dir={directory}, goes on with them"
            fail(f"{open_ends} of {total} runs are not complete; {again}")
        print(f"Compare them: deepcrl report {directory}")


def standing(path: Path) -> tuple[str, str]:
    """Returns how the run in a directory stands, and its score or what went wrong."""
    if (path / ERROR).exists():
        return "failed", (path / ERROR).read_text().splitlines()[0]
    run = RunDir(path)
    try:
        score = final_score(run, validated(yaml.safe_load(run.config_path.read_text())))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        return "unreadable", one_line(error)
    return ("unfinished", "") if score is None else ("complete", f"time at goal {score:,.1f}")


def _runs(directory: Path) -> list[Path]:
    """The directories of runs, so that depth=4 comes before depth=16."""
    runs = [path for path in directory.iterdir() if RunDir(path).holds_run() or (path / ERROR).exists()]
    return sorted(runs, key=lambda path: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", path.name)])
