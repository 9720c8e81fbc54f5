"""Commands as processes of their own that need not import PyTorch, MuJoCo and Hydra again: forks of one that has.

A fresh interpreter takes three seconds to import what every command needs, and the suite runs two hundred commands.
What is imported beforehand is other people's packages alone: deepcrl itself and its plugins are imported anew.
"""

from __future__ import annotations

import functools
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
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


def run(
    words: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Runs `deepcrl ARGUMENTS` or `python -c PROGRAM`, given as words, as `subprocess.run` with captured text would.

    Raises TimeoutExpired after `timeout` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        request = {
            "words": [*words],
            "cwd": str(cwd),
            "environment": dict(environment),
            "out": str(out),
            "err": str(err),
        }
        code = _ask(request, timeout, words)
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())


def _ask(request: dict, timeout: float, words: Sequence[str]) -> int:
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    if not select.select([server.stdout], [], [], timeout)[0]:
        os.killpg(server.pid, signal.SIGKILL)
        _server.cache_clear()
        raise subprocess.TimeoutExpired(list(words), timeout)
    return json.loads(server.stdout.readline())


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Starts the process that the others are forks of, one for each process that tests."""
    root = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.warm"],
        cwd=root,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,
    )


def serve() -> None:
    """Forks a process for each request on standard input, and answers its exit status when it has ended."""
    for name in IMPORTED:
        __import__(name)
    Plugins.instance()  # imports the installed launchers and sweepers
    usual = sys.path[1:]  # without the folder that `python -m` puts first: a path of an editable install may equal it
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if not child:
            _become(request, usual)
            return  # the interpreter then ends as any other does, with what was registered for its exit
        status = os.waitpid(child, 0)[1]
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def _become(request: dict, usual: list[str]) -> None:
    """Turns this process into the one that was asked for, runs its program, and raises SystemExit as that does."""
    for number, path in ((1, request["out"]), (2, request["err"])):
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


if __name__ == "__main__":
    serve()
