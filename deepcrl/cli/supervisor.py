"""A sweep whose runs are processes of this machine: a signal saves every run before anything ends.

Launchers such as joblib answer Ctrl-C by killing their workers, also those that are just saving. So the launcher runs
in a session of its own, where no signal of the terminal reaches it, and this process, which the user sees, tells the
runs themselves. They share a folder: each run that trains leaves a file there named by its process id, and `stop` in
it keeps further ones from starting. A supervisor that is killed takes nobody with it; but it held a lock in the folder,
and the runs that then get this save and end as if it had asked them to.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

FOLDER = "DEEPCRL_SWEEP_PROCESSES"
"""The environment variable that names the shared folder; there is one in the launcher's processes only."""
STOP = "stop"
PARALLEL = ("joblib", "submitit_local", "ray")
"""Launchers of which their names say that they have processes of their own on this machine."""
ELSEWHERE = ("BasicLauncher", "SlurmLauncher", "RQLauncher", "RayAWSLauncher")
"""Classes of launchers that have none: their runs are in this process, or on other machines."""
ALIVE = "alive"
"""The file that a supervisor keeps locked for as long as it lives."""
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)


def is_parallel(verb: str, arguments: list[str]) -> bool:
    """Whether a command is a sweep with a launcher that is known by name to have processes on this machine.

    It costs nothing. Whatever else a command line or a config file chooses, `needs_supervision` knows when Hydra has
    read it.
    """
    if verb != "train":
        return False
    if not any(re.fullmatch(r"--multirun|-[a-z]*m[a-z]*", argument) for argument in arguments):
        return False
    chosen = [argument.partition("=")[2] for argument in arguments if argument.startswith("hydra/launcher=")]
    return bool(chosen) and chosen[-1] in PARALLEL and needs_supervision(chosen[-1])


def needs_supervision(launcher: str) -> bool:
    """Whether runs of a launcher, of that class, are processes of this machine that nobody tells of signals yet."""
    return sys.platform != "win32" and not is_supervised() and launcher not in ELSEWHERE


def supervise(command: list[str]) -> NoReturn:
    """Runs `command` in a session of its own and exits with its status, or with 128 + the signal that stopped it.

    The first signal lets every run save, and waits for it; a second SIGINT or SIGTERM kills all of them.
    """
    with tempfile.TemporaryDirectory(prefix="deepcrl_sweep_") as name:
        folder, received = Path(name), []
        held = _locked(folder / ALIVE)
        process: subprocess.Popen[bytes] | None = None

        def on_signal(number: int, frame: object) -> None:
            received.append(number)
            if len(received) == 1:
                (folder / STOP).touch()  # before looking: a run that is not seen here sees this
                _send(folder, signal.SIGTERM)
            elif number in (signal.SIGINT, signal.SIGTERM) and process is not None:
                signal.signal(number, signal.SIG_IGN)
                _send(folder, signal.SIGKILL)  # of launchers whose workers have left the session
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

        for number in SIGNALS:
            if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN):  # as under nohup
                signal.signal(number, on_signal)
        process = subprocess.Popen(command, env=os.environ | {FOLDER: name}, start_new_session=True)
        status = process.wait()
        held.close()
        if received and status == -signal.SIGKILL:
            print("deepcrl: stopped at once, without saving", file=sys.stderr)
    # What is left to do is to end; a further signal would only be a traceback
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + received[0] if received else status if status >= 0 else 128 - status)


def is_supervised() -> bool:
    """Whether this process belongs to a sweep that is supervised."""
    return FOLDER in os.environ


def is_stopped() -> bool:
    """Whether the sweep of this process was asked to stop."""
    return is_supervised() and (Path(os.environ[FOLDER]) / STOP).exists()


@contextlib.contextmanager
def announced() -> Iterator[None]:
    """Lets the signals of the sweep reach this process. Its own handlers must be in place before."""
    mine = Path(os.environ[FOLDER]) / str(os.getpid())
    with contextlib.suppress(FileNotFoundError):  # the supervisor is gone
        mine.touch()
    over = threading.Event()
    threading.Thread(target=_stop_without_supervisor, args=(mine.parent, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        mine.unlink(missing_ok=True)


def _stop_without_supervisor(folder: Path, over: threading.Event) -> None:
    """Waits until the supervisor is gone, and asks the run of this process to save and stop unless that is over."""
    with contextlib.suppress(OSError):  # it is gone, and its folder with it
        _locked(folder / ALIVE).close()
    if not over.is_set():
        with contextlib.suppress(FileNotFoundError):
            (folder / STOP).touch()
        os.kill(os.getpid(), signal.SIGTERM)


def _locked(path: Path) -> IO[str]:
    """Opens a file that is locked until it is closed, or the process ends; waits while another process has it."""
    import fcntl

    file = open(path, "a")  # noqa: SIM115 - open means locked
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _send(folder: Path, number: int) -> None:
    for file in folder.iterdir():
        if file.name.isdigit():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.name), number)
