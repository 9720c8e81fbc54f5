"""Signals at any moment, one or two: runs and parallel sweeps are saved, end with the documented status, and go on.

python -m tests.drill.signals --seed 0 --num 48
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from deepcrl.run.checkpoint import find, list_checkpoints
from deepcrl.run.metrics import read_rows
from tests import warm
from tests.drill.cases import (
    HANGS_AFTER_SECONDS,
    STEPS,
    TINY,
    Worker,
    drill,
    go_on,
    is_alive,
    leftovers,
    otherwise,
    shown,
    straight,
    until,
)
from tests.drill.kills import SETTINGS, last_of_each

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
LAUNCHERS = ("joblib", "submitit_local")
LONGER = "total_env_steps=1200"
"""For the runs of a sweep, which take long to start."""
AT_ONCE = "deepcrl: stopped at once, without saving\n"


@dataclass(frozen=True)
class Signals:
    """A run, or a sweep of two if a launcher is named, and the signals that it gets: which, when, and how far apart."""

    settings: tuple[str, ...]
    launcher: str
    numbers: tuple[signal.Signals, ...]
    share: float
    seconds_between: float

    def __str__(self) -> str:
        names = " and ".join(number.name for number in self.numbers)
        return f"{' '.join(self.settings)} {self.launcher}, {names}, {self.share:.2f}, {self.seconds_between} s apart"


def signals(seed: int, num: int) -> list[Signals]:
    """Returns `num` cases: every fifth is a parallel sweep, every third has two signals."""
    rng = random.Random(seed)
    return [
        Signals(
            SETTINGS[i % len(SETTINGS)] if i % 5 < 4 else SETTINGS[i % 2],
            "" if i % 5 < 4 else LAUNCHERS[i // 5 % 2],
            tuple(rng.choices(NUMBERS, k=2 if i % 3 == 2 else 1)),
            rng.random(),
            rng.choice((0.0, 0.02, 0.2)),
        )
        for i in range(num)
    ]


def complaint(case: Signals, worker: Worker, folder: Path) -> str:
    """Sends the signals, goes on with each run, and returns what is wrong, "" if nothing is."""
    settings = (*last_of_each(*TINY, LONGER if case.launcher else STEPS, *case.settings),)
    seeds = (0, 1) if case.launcher else (0,)
    expected = [straight(worker, (*settings, f"seed={seed}")) for seed in seeds]
    words, runs = ["train", *settings, "run_dir=run", "seed=0"], [folder / "run"]
    if case.launcher:
        words = ["train", "-m", *settings, "seed=0,1", f"hydra/launcher={case.launcher}", "hydra.sweep.dir=sweep"]
        words += ["hydra.launcher.n_jobs=2"] if case.launcher == "joblib" else []
        runs = [folder / "sweep" / f"seed={seed}" for seed in seeds]
    command = worker.start(folder, *words)
    until(lambda: any((run / "metrics.jsonl").exists() for run in runs), command)
    time.sleep(case.share * expected[0].seconds / 2)
    send(case, command)
    done = command.wait(HANGS_AFTER_SECONDS)
    if what := ending(case, done) or left_behind(folder):
        return what
    if AT_ONCE not in done.stderr and (what := next(filter(None, map(unsaved, runs)), "")):
        return what
    for run, other in zip(runs, expected, strict=True):
        done = worker.run(run.parent, *go_on(run, (*settings, f"seed={seeds[runs.index(run)]}")))
        if done.returncode or done.stderr:
            return f"{run.name} did not go on: {shown(done)}"
        if what := otherwise(run, other):
            return what
    return ""


def send(case: Signals, command: warm.Command) -> None:
    """Sends the signals to a command, unless it has ended."""
    for i, number in enumerate(case.numbers):
        if i:
            time.sleep(case.seconds_between)
        if is_alive(command.pid):
            os.kill(command.pid, number)


def ending(case: Signals, done: subprocess.CompletedProcess[str]) -> str:
    """Returns what is wrong with how a command ended after the signals, "" if nothing is."""
    twice = signal.SIGINT in case.numbers[1:] or (case.launcher and signal.SIGTERM in case.numbers[1:])
    statuses = {0, *(128 + number for number in case.numbers)}
    if done.returncode not in statuses:
        # One that has not begun to train, or has done all, need not handle them
        over = ("Done: ", "Saved. Go on with: ", "Stopped while drawing")
        begun = "Ctrl-C saves and stops" in done.stdout and not any(words in done.stdout for words in over)
        if begun or done.returncode not in {-number for number in case.numbers}:
            return f"a status other than {statuses}: {shown(done)}"
    if done.stderr and not (done.stderr == AT_ONCE and (twice or done.returncode == 128 + signal.SIGINT)):
        return f"unexpected words: {shown(done)}"
    if re.search(r"Traceback", done.stdout):
        return f"a traceback: {shown(done)}"
    return ""


def left_behind(folder: Path) -> str:
    """Returns which processes still work in a folder, "" if none does."""
    found: list[str] = []
    deadline = time.monotonic() + 5  # a launcher's helpers end by themselves, soon after it
    while time.monotonic() < deadline:
        found = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()).is_relative_to(folder):
                    found.append(" ".join(process.cmdline())[-200:])
            except (psutil.Error, OSError):
                continue
        if not found:
            return ""
        time.sleep(0.1)
    return f"processes left: {found}"


def unsaved(run: Path) -> str:
    """Returns what of a run's work is not in its newest checkpoint, "" if all is."""
    if left := leftovers(run):
        return f"left: {left}"
    if not (run / "metrics.jsonl").exists():
        return ""
    rows, _ = read_rows(run / "metrics.jsonl")
    if not rows:
        return ""
    if not list_checkpoints(run / "checkpoints"):
        return f"not saved: {len(rows)} rows"
    saved = find(run)
    if not saved.content or saved.env_steps < rows[-1]["env_steps"]:
        return f"not saved: {saved.path.name} after {rows[-1]['env_steps']} steps"
    return ""


def main() -> int:
    return drill(__doc__, "signals: saved, ended as documented, went on bit-equal", 48, signals, complaint)


if __name__ == "__main__":
    raise SystemExit(main())
