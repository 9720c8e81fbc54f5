"""Sweeps: a run that fails does not stop the others, and the same command in the same directory goes on with the rest.

A sweep is a directory with a run in each subdirectory. What a run left there says how it stands: complete, to be
resumed from its newest checkpoint, or failed, with the reason in `error.txt`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from deepcrl.cli import supervisor
from deepcrl.cli.hydra.errors import USER_ERRORS, fail, fault_of_a_plugin, one_line
from deepcrl.core.files import write_atomic
from deepcrl.run.directory import RunDir
from deepcrl.run.environment import COMMAND
from deepcrl.run.hints import command, setting, typed
from deepcrl.run.start import final_score
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.validate import validated

ERROR = "error.txt"
MAX_NUM_TIMEOUT = 1000
"""How often a job goes back into SLURM's queue, if the user does not say."""


def guarded(start: Callable[[Interrupt], float | None], directory: Path) -> float | None:
    """Calls `start`, one run of a sweep. If it fails, the reason is left in `directory`, and its score is None.

    Sweepers that want a score, such as Optuna, count None as a failed trial. In a process of a supervised sweep, so is
    a run that a signal stopped: its exit would have the launcher kill the others while they save.
    """
    if not supervisor.is_supervised():
        return _guarded(start, directory, Interrupt())
    with _sigterm_is_ours(), Interrupt() as interrupt, supervisor.announced():
        if supervisor.is_stopped():
            with contextlib.suppress(OSError):
                directory.rmdir()  # which Hydra has just made
            return None
        try:
            return _guarded(start, directory, interrupt)
        except SystemExit as exited:
            if interrupt.signal_number is None or exited.code != 128 + interrupt.signal_number:
                raise  # a launcher's own way to put the run back into its queue
            return None


@contextlib.contextmanager
def _sigterm_is_ours() -> Iterator[None]:
    """Sets a launcher's own answer to SIGTERM aside: Ray's would end its worker before the run has drawn its curves."""
    previous = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous or signal.SIG_DFL)  # None for one that is not Python's


def _guarded(start: Callable[[Interrupt], float | None], directory: Path, interrupt: Interrupt) -> float | None:
    (directory / ERROR).unlink(missing_ok=True)
    try:
        score = start(interrupt)
    except Exception as error:
        told = fault_of_a_plugin(error)
        line = told.splitlines()[0] if told else one_line(error)
        trace = "" if isinstance(error, USER_ERRORS) and not told else f"\n{traceback.format_exc()}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_atomic(directory / ERROR, f"{line}\n{trace}")
        except OSError as refused:  # most likely the disk that made the run fail
            line += f" ({ERROR} cannot be written: {refused.strerror or refused})"
        print(f"deepcrl: {directory.name}: {line}", file=sys.stderr)
        return None
    except SystemExit:  # a signal, after which the run has been saved
        if not supervisor.is_supervised():
            print(
                f"The sweep stops here. The same command goes on, with {setting('hydra.sweep.dir', directory.parent)}"
            )
        raise
    (directory / ERROR).unlink(missing_ok=True)  # of another process, which found this one at work
    return score


_new: list[Path] = []
"""Folders that a sweep which is starting has made, the outermost first."""


@contextlib.contextmanager
def removed_if_refused() -> Iterator[None]:
    """Removes the folders of a sweep that ends before its first run, with Hydra's `multirun.yaml` in them."""
    _new.clear()
    try:
        yield
    except BaseException:
        if _new and _new[-1].is_dir() and {path.name for path in _new[-1].iterdir()} <= {"multirun.yaml"}:
            shutil.rmtree(_new[0])
        raise


_in_a_queue: list[Path] = []
"""The folder of the sweep that is starting, if its runs are jobs in a cluster's queue."""


@contextlib.contextmanager
def told_of_the_queue() -> Iterator[None]:
    """Says what is true when Ctrl-C ends the waiting for jobs in a cluster's queue."""
    _in_a_queue.clear()
    try:
        yield
    except KeyboardInterrupt:
        if not _in_a_queue:
            raise
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left to do is to end
        again = f"the same command, with {setting('hydra.sweep.dir', _in_a_queue[0])}, sums up"
        goes_on = "jobs that are in the queue go on (scancel saves and ends them)"
        print(f"deepcrl: no longer waiting; {goes_on}; when they have ended, {again}", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


def _requeued_by_default(config: DictConfig) -> None:
    """Has SLURM put a run that was preempted or ran out of time back into its queue, unless the user says how often."""
    key = "hydra.launcher.max_num_timeout"
    if not any(override.startswith(f"{key}=") for override in config.hydra.overrides.hydra):
        with read_write(config):
            config.hydra.launcher.max_num_timeout = config.hydra.launcher.max_num_timeout or MAX_NUM_TIMEOUT


class Summary(Callback):
    """Prints how each run of a sweep stands; exit status 2 if one is not complete."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run: makes the folder; exit status 2 if it cannot be one.

        Here it is known which launcher was chosen, by a command line or a config file.
        """
        launcher = str(config.hydra.launcher._target_).rpartition(".")[2]
        if supervisor.needs_supervision(launcher):
            supervisor.supervise([sys.executable, "-P", "-m", *shlex.split(os.environ[COMMAND])])
        directory = Path(config.hydra.sweep.dir)
        if launcher == "SlurmLauncher":
            _in_a_queue.append(directory)
            _requeued_by_default(config)
        _new[:] = [path for path in (*reversed(directory.parents), directory) if not path.exists()]
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            reason = "it is a file" if directory.is_file() else error.strerror
            fail(f"Cannot write to {setting('hydra.sweep.dir', directory)}: {reason}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra after the last run, in the process that was started."""
        directory = Path(config.hydra.sweep.dir)
        if supervisor.is_stopped():
            print(f"The sweep stops here. The same command goes on, with {setting('hydra.sweep.dir', directory)}")
            return
        standings = {str(path.relative_to(directory)): standing(path) for path in _runs(directory)}
        if not standings:
            fail(f"no run was started in {directory}")
        width = max(map(len, standings), default=0)
        print(f"\nSweep {directory}:")
        for name, (state, what) in standings.items():
            print(f"  {name:<{width}}  {state:<10}  {what}")
        open_ends = sum(state != "complete" for state, _ in standings.values())
        if open_ends:
            total, again = (
                len(standings),
                f"the same command, with {setting('hydra.sweep.dir', directory)}, goes on with them",
            )
            fail(f"{open_ends} of {total} runs are not complete; {again}")
        print(f"Compare them: {command('report', typed(directory))}")


def standing(path: Path) -> tuple[str, str]:
    """Returns how the run in a directory stands, and its score or what went wrong."""
    if (path / ERROR).exists():
        return "failed", (path / ERROR).read_text().splitlines()[0]
    run = RunDir(path)
    try:
        score = final_score(run, validated(yaml.safe_load(run.config_path.read_text())))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        return "unreadable", one_line(error)
    if score is None:
        return "unfinished", ""
    if not (run.plots_dir / "curves.png").exists():  # a disk that had no room for them had none for error.txt
        return "undrawn", f"time at goal {score:,.1f}, but its curves are not drawn"
    return "complete", f"time at goal {score:,.1f}"


def _runs(directory: Path) -> list[Path]:
    """The directories of runs, so that depth=4 comes before depth=16; at any depth, for `hydra.sweep.subdir=a/b`."""
    found, folders = [], [directory]
    for folder in folders:
        if RunDir(folder).holds_run() or (folder / ERROR).exists():
            found.append(folder)
        else:
            folders += [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", str(path))])
