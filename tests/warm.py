"""Commands as processes of their own that need not import PyTorch, MuJoCo and Hydra again: forks of one that has.

A fresh interpreter takes four seconds to import what every command needs, and the suite runs two hundred commands.
Plugins are imported anew.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.plugins import Plugins

IMPORTED = (
    *("torch", "torch._dynamo", "torch.fx.experimental.symbolic_shapes", "numpy", "mujoco", "mujoco.batch"),
    *("hydra", "omegaconf", "gymnasium", "gymnasium.vector", "rich.console", "rich.live", "rich.table", "psutil"),
    *(
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
        "PIL.Image",
        "PIL.ImageDraw",
        "yaml",
        "einops",
        "einops._torch_specific",
    ),
    *("torch.profiler", "torch.utils.flop_counter", "rich.progress_bar", "multiprocessing.queues"),
)


class Server:
    """A process that others are forks of, one at a time. It has imported deepcrl, and used it once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm"],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def start(self, words: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Command:
        """Starts `deepcrl ARGUMENTS` or `python -c PROGRAM`, given as words; ends before the next one is started."""
        assert self._process.stdin
        folder = tempfile.TemporaryDirectory()
        request = {"words": [*words], "cwd": str(cwd), "environment": dict(environment), "folder": folder.name}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Command([*words], self.answer(None), self, folder)

    def answer(self, timeout: float | None) -> int:
        """Returns the next answer: the process id of a command, then its exit status; TimeoutError if it is late."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            raise TimeoutError
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """Ends the process and its forks."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@dataclass(frozen=True)
class Command:
    """A command that has been started, as a process of its own."""

    words: list[str]
    pid: int
    server: Server
    folder: tempfile.TemporaryDirectory[str]

    def wait(self, timeout: float) -> subprocess.CompletedProcess[str]:
        """Returns how it ended and what it printed; TimeoutExpired, with the server gone, if that takes longer."""
        try:
            code = self.server.answer(timeout)
        except TimeoutError:
            self.server.kill()
            raise subprocess.TimeoutExpired(self.words, timeout) from None
        out, err = ((Path(self.folder.name) / name).read_text() for name in ("out", "err"))
        self.folder.cleanup()
        return subprocess.CompletedProcess(self.words, code, out, err)


_server = functools.cache(Server)  # one for each process that tests


def run(
    words: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Runs `deepcrl ARGUMENTS` or `python -c PROGRAM`, given as words, as `subprocess.run` with captured text would.

    Raises TimeoutExpired after `timeout` seconds.
    """
    try:
        return _server().start(words, cwd, environment).wait(timeout)
    except subprocess.TimeoutExpired:
        _server.cache_clear()
        raise


def serve() -> None:
    """Forks a process for each request on standard input, and answers its exit status when it has ended."""
    for name in IMPORTED:
        __import__(name)
    Plugins.instance()  # imports the installed launchers and sweepers
    _use_deepcrl()
    gc.freeze()  # forks need not look for garbage in what is here
    usual = sys.path[1:]  # without the folder that `python -m` puts first: a path of an editable install may equal it
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if not child:
            try:
                _become(request, usual)
                _end(None)
            except SystemExit as exited:
                _end(exited.code)
        print(child, flush=True)
        status = os.waitpid(child, 0)[1]
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def _use_deepcrl() -> None:
    """Imports deepcrl, and fills the caches of what a run does before its first step and after its last."""
    import torch

    from deepcrl import cli
    from deepcrl.cli.hydra.compose import compose_values
    from deepcrl.run.metrics import COUNTERS, JsonlLogger
    from deepcrl.run.plots.curves import plot_run
    from deepcrl.training.build import env_spec
    from deepcrl.training.sizing.dry_run import peak_bytes
    from deepcrl.training.validate import validated

    torch.set_num_threads(1)  # threads do not survive a fork
    for verb in cli.VERBS:
        __import__(f"deepcrl.cli.{verb}")
    config = validated(compose_values(["env=point_u_maze", "encoder.width=16"]))
    peak_bytes(config, env_spec(config))
    with tempfile.TemporaryDirectory() as folder:
        JsonlLogger(f"{folder}/metrics.jsonl").log(dict.fromkeys((*COUNTERS, "critic/loss"), 1.0))
        plot_run(folder)


def _become(request: dict, usual: list[str]) -> None:
    """Turns this process into the one that was asked for, runs its program, and raises SystemExit as that does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what this was started by may ignore them
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for number, name in ((1, "out"), (2, "err")):
        path = os.path.join(request["folder"], name)
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    (program, *arguments), added = request["words"], request["environment"].get("PYTHONPATH", "")
    is_code = arguments[:1] == ["-c"]
    sys.path[:] = [*([""] if is_code else [str(Path(program).parent)]), *filter(None, added.split(os.pathsep)), *usual]
    sys.argv = ["-c", *arguments[2:]] if is_code else [program, *arguments]
    try:
        if is_code:
            exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_path(program, run_name="__main__")
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def _end(code: object) -> None:
    """Ends this process as the interpreter would, but for taking apart every module, which takes a second."""
    if not (code is None or isinstance(code, int)):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0) & 0xFF)


if __name__ == "__main__":
    serve()
