"""`deepcrl.train`: a training from Python."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from deepcrl.api.result import Result
from deepcrl.cli.hydra.compose import compose_values, new_run_dir
from deepcrl.cli.hydra.overrides import check_used
from deepcrl.cli.hydra.resume import resumed
from deepcrl.cli.hydra.words import checked, plain_errors
from deepcrl.run.start import Start, continued, fresh
from deepcrl.run.training import train_run
from deepcrl.training.validate import validated


def train(*settings: str, seed: int = 0, run_dir: str | Path = "") -> Result:
    """Trains an agent and returns what came of it.

    `settings` are those of `deepcrl train`: `"env=point_u_maze"`, `"encoder.depth=16"`, `"resume=runs/first"`. Without
    a `run_dir` the run makes one in `runs/`. A run of the same settings that is in `run_dir` already is gone on with,
    and a complete one is returned at once, so a cell of a notebook can be run again.

    Raises ValueError, in one line and before anything is written, for a setting that makes no sense, and
    KeyboardInterrupt after Ctrl-C, once the run is saved.
    """
    with plain_errors():
        start = _start([*checked(settings), f"seed={seed}"] if seed else checked(settings), str(run_dir))
    try:
        train_run(start)
    except SystemExit as stopped:
        if stopped.code == 128 + signal.SIGINT:
            raise KeyboardInterrupt from None
        raise
    return Result(start.directory.path)


def _start(words: list[str], run_dir: str) -> Start:
    values: dict[str, Any] = compose_values(words)
    if values["resume"]:
        return resumed(values, words)
    check_used(values["agent"]["name"], words)
    if run_dir:
        return continued(validated(values | {"run_dir": run_dir}))
    return fresh(validated(values | {"run_dir": values["run_dir"] or new_run_dir(values)}))
