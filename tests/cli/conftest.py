"""The command line, in this process and as a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deepcrl import cli
from tests import warm
from tests.quick import make_quick

TINY = (
    *("env=point_u_maze", "num_threads=1", "num_envs=4", "unroll_length=5", "episode_length=20", "batch_size=16"),
    *("encoder.width=16", "encoder.depth=4", "agent.embedding_dim=8", "buffer.capacity=200", "prefill_steps=20"),
    *("grad_steps_per_unroll=4", "num_eval_envs=2", "total_env_steps=400", "eval_every=100", "checkpoint_every=100"),
    "video=false",
)
"""Overrides of a run of 20 unrolls of 20 env steps, of which 4 are prefill: 64 gradient steps."""


HANGS_AFTER_SECONDS = 600
"""Far beyond what any command takes, also on a busy machine."""


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error message, after checking that it is all of stderr, one line, with exit status 2."""
        assert self.code == 2, self
        assert self.err.startswith("deepcrl: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n"), self.err
        return self.err.removeprefix("deepcrl: ").strip()


def last_of_each(arguments: tuple[str, ...]) -> list[str]:
    """Leaves out what a later override of the same key replaces, of which deepcrl would say a line on stderr."""
    keys = [word.partition("=")[0].lstrip("+") if "=" in word else f"{i} {word}" for i, word in enumerate(arguments)]
    last = {key: i for i, key in enumerate(keys)}
    return [word for i, (key, word) in enumerate(zip(keys, arguments, strict=True)) if last[key] == i]


@pytest.fixture
def tiny() -> tuple[str, ...]:
    return TINY


@pytest.fixture
def deepcrl(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Runs `deepcrl ARGUMENTS` in this process, in an empty folder."""
    make_quick(request, monkeypatch)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["deepcrl", *last_of_each(arguments)])
        capfd.readouterr()
        code: Any = 0
        try:
            cli.main()
        except SystemExit as exited:
            code = exited.code
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Result]:
    """Runs `deepcrl ARGUMENTS` as a process of its own, in the folder; plugins are looked for there."""

    def run(*arguments: str, **variables: str) -> Result:
        program = [str(Path(sys.executable).with_name("deepcrl")), *last_of_each(arguments)]
        paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"} | variables
        done = warm.run(program, tmp_path, environment, HANGS_AFTER_SECONDS)
        return Result(done.returncode, done.stdout, done.stderr)

    return run
