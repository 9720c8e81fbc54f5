"""`deepcrl ARGUMENTS` as forks of this process, which has imported everything: what each says, takes and leaves.

A fork cannot hang the drill, exhaust the machine's memory, or leave anything in this process.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import math
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from deepcrl import cli
from deepcrl.cli.hydra.schema import register_schema
from tests.warm import IMPORTED

MAX_ADDED_BYTES = 6 * 2**30
"""Of addresses, beyond those of this process: a fork that asks for more gets a MemoryError."""


PATIENCE = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    status: int | None
    """None if it hung and was killed."""
    out: str
    err: str
    seconds: float
    """Of a processor: others may be at work here."""
    mebibytes: int
    """Of memory, beyond what it had as a fork."""


def prepare() -> None:
    """Imports what the verbs need, so that forks have it."""
    for name in (*IMPORTED, *(f"deepcrl.cli.{verb}" for verb in cli.VERBS), "deepcrl.report.write"):
        importlib.import_module(name)
    torch.set_num_threads(1)  # threads do not survive a fork
    register_schema()
    gc.freeze()  # collecting garbage in a fork need not walk, and copy, what is imported


def run(words: Sequence[str], cwd: Path, variables: Mapping[str, str] | None = None, timeout: float = 20.0) -> Answer:
    """Runs `deepcrl` with these words in the folder `cwd`.

    It is killed after `timeout` seconds of a processor's time, or `PATIENCE` times as many of anybody's.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        had, deadline = _resident_bytes(), time.perf_counter() + PATIENCE * timeout
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(timeout), math.ceil(timeout) + 1))
            _become(words, cwd, dict(variables or {}), out, err)
        status, usage = _wait(child, deadline)
        added = max(usage.ru_maxrss * 1024 - had, 0) // 2**20
        return Answer(status, _text(out), _text(err), usage.ru_utime + usage.ru_stime, added)


def _wait(child: int, deadline: float) -> tuple[int | None, resource.struct_rusage]:
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return (None if code in (-signal.SIGXCPU, -signal.SIGKILL) else code), usage
        if time.perf_counter() > deadline:
            os.kill(child, signal.SIGABRT)  # to say where it hangs
            time.sleep(1.0)
            os.killpg(child, signal.SIGKILL)
            return None, os.wait4(child, 0)[2]
        time.sleep(0.005)


def _become(words: Sequence[str], cwd: Path, variables: dict[str, str], out: Path, err: Path) -> None:
    """Runs the command in this process, and ends it."""
    code = 1
    try:
        os.setsid()  # so that what it starts can be killed with it
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        limit = _pages()[0] * resource.getpagesize() + MAX_ADDED_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        faulthandler.enable(2)
        os.chdir(cwd)
        os.environ.update(variables)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
        sys.argv = ["deepcrl", *words]
        cli.main()
        code = 0
    except SystemExit as exited:
        code = exited.code if isinstance(exited.code, int) else 0 if exited.code is None else 1
    except BaseException:  # as the interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _pages() -> list[int]:
    """The size of this process in pages: addresses, then what is in memory."""
    return [int(word) for word in Path("/proc/self/statm").read_text().split()]


def _resident_bytes() -> int:
    return _pages()[1] * resource.getpagesize()


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
