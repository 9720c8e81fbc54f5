"""What the drills of runs share: tiny runs, commands that are forks of a warm process, and two cases at a time."""

from __future__ import annotations

import argparse
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deepcrl.core.files import UNFINISHED
from deepcrl.run.checkpoint import find
from deepcrl.run.metrics import read_rows
from tests import warm
from tests.conftest import assert_same

AT_A_TIME = 2
HANGS_AFTER_SECONDS = 300
ROOT = Path(__file__).parents[2]
CRL = "agent.embedding_dim=8"
TINY = (
    *("env=point_u_maze", "num_threads=1", "num_envs=4", "unroll_length=5", "episode_length=20", "batch_size=16"),
    *("encoder.width=16", "buffer.capacity=30", "prefill_steps=20", "grad_steps_per_unroll=4", "num_eval_envs=2"),
    *("eval_every=80", "checkpoint_every=60", "keep_checkpoints=2", "video=false"),
)
"""A run of unrolls of 20 env steps. Its ring of 30 steps wraps."""
STEPS = "total_env_steps=240"

Case = TypeVar("Case")


class Worker:
    """Runs commands, one at a time."""

    def __init__(self) -> None:
        self._server = warm.Server()

    def start(self, cwd: Path, *arguments: str) -> warm.Command:
        """Starts `deepcrl ARGUMENTS` in a folder."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return self._server.start([str(Path(sys.executable).with_name("deepcrl")), *arguments], cwd, environment)

    def run(self, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `deepcrl ARGUMENTS` in a folder to its end."""
        return self.start(cwd, *arguments).wait(HANGS_AFTER_SECONDS)

    def close(self) -> None:
        self._server.kill()


@dataclass(frozen=True)
class Straight:
    """What a run that nothing happened to has recorded, and how long its command took."""

    rows: list[dict[str, float]]
    state: dict[str, Any]
    seconds: float


_straight: dict[tuple[str, ...], Straight] = {}
_lock = threading.Lock()


def straight(worker: Worker, settings: tuple[str, ...]) -> Straight:
    """Returns what a run of these settings records; trained once."""
    with _lock:
        if settings not in _straight:
            with tempfile.TemporaryDirectory() as folder:
                began = time.monotonic()
                done = worker.run(Path(folder), "train", *settings, "run_dir=run")
                assert done.returncode == 0, done
                run = Path(folder, "run")
                rows, state = read_rows(run / "metrics.jsonl")[0], find(run).state
                _straight[settings] = Straight(rows, state, time.monotonic() - began)
    return _straight[settings]


def otherwise(run: Path, expected: Straight) -> str:
    """Returns in what a run that has ended is not as it should be, "" if it is bit-equal, drawn and tidy."""
    try:
        rows, torn = read_rows(run / "metrics.jsonl")
        assert not torn, f"{torn} torn rows"
        assert_same(rows, expected.rows, "rows")
        assert_same(find(run).state, expected.state, "state")
    except (AssertionError, OSError, ValueError) as error:
        return f"not as the straight run: {error}"
    if not (run / "plots" / "curves.png").exists():
        return "no curves were drawn"
    return ", ".join(f"left: {path}" for path in leftovers(run))


def leftovers(run: Path) -> list[Path]:
    """Returns what is left of writing that was broken off."""
    return [*run.rglob(UNFINISHED), *run.rglob(".writing_*")]


def go_on(run: Path, settings: Sequence[str]) -> tuple[str, ...]:
    """Returns the command that goes on with a run, wherever it was stopped."""
    if (run / "config.yaml").exists():
        return "train", f"resume={run.name}"
    return "train", *settings, f"run_dir={run.name}"


def until(happened: Callable[[], object], command: warm.Command) -> None:
    """Waits until something has happened, or the command has ended."""
    while not happened() and is_alive(command.pid):
        time.sleep(0.0005)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def one_line(done: subprocess.CompletedProcess[str], code: int = 2) -> bool:
    """Whether a command ended with an error in one line."""
    return done.returncode == code and done.stderr.startswith("deepcrl: ") and done.stderr.count("\n") == 1


def shown(done: subprocess.CompletedProcess[str]) -> str:
    """Returns how a command ended, for people."""
    return f"exit status {done.returncode}\n--- stdout\n{done.stdout[-700:]}\n--- stderr\n{done.stderr[-3000:]}"


def drill(
    doc: str | None,
    held: str,
    num: int,
    cases: Callable[[int, int], list[Case]],
    complaint: Callable[[Case, Worker, Path], str],
) -> int:
    """Tries cases, some at a time, each in a folder of its own; prints those that fail, and how many held.

    `complaint` returns "" for a case that held. Returns 1 if one failed, else 0.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num", type=int, default=num)
    parser.add_argument("--only", type=int, nargs="*", help="the numbers of some of the cases")
    options = parser.parse_args()
    waiting: queue.SimpleQueue[tuple[int, Case]] = queue.SimpleQueue()
    for item in enumerate(cases(options.seed, options.num)):
        if not options.only or item[0] in options.only:
            waiting.put(item)
    tried, failed = waiting.qsize(), []

    def work() -> None:
        worker = Worker()
        while True:
            try:
                number, case = waiting.get_nowait()
            except queue.Empty:
                return worker.close()
            with tempfile.TemporaryDirectory(prefix="drill_", ignore_cleanup_errors=True) as folder:
                try:
                    what = complaint(case, worker, Path(folder))
                except Exception:
                    what, worker = traceback.format_exc(), Worker()
            if what:
                failed.append(number)
                print(f"case {number}, {case}: {what}", flush=True)

    threads = [threading.Thread(target=work) for _ in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{tried - len(failed)} of {tried} {held}")
    return int(bool(failed))
