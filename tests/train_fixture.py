"""Trains a run in a directory, with something that happens in the middle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from deepcrl.run import training
from deepcrl.run.checkpoint import find, list_checkpoints
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import read_rows
from deepcrl.run.start import Start
from deepcrl.training.build import build_run
from deepcrl.training.config import RunConfig
from deepcrl.training.run import Run
from tests.quick import make_quick

Change = Callable[[Run], object]


class Train(Protocol):
    def __call__(self, config: RunConfig, *changes: Change) -> float | None: ...


@pytest.fixture
def train(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains the run of a config, resumed where it has a checkpoint. `changes` get the run when it is built."""
    make_quick(request, monkeypatch)

    def train(config: RunConfig, *changes: Change) -> float | None:
        def build(*arguments: Any) -> Run:
            run = build_run(*arguments)
            for change in changes:
                change(run)
            return run

        directory = RunDir(Path(config.run_dir))
        checkpoints = list_checkpoints(directory.checkpoints_dir)
        with monkeypatch.context() as patch:
            patch.setattr(training, "build_run", build)
            return training.train_run(Start(config, checkpoints[-1] if checkpoints else None, directory))

    return train


@pytest.fixture
def trained(tiny, train, tmp_path: Path) -> Callable[..., float | None]:
    """Trains the run `name`, resumed where it has a checkpoint; returns its score."""

    def trained(name: str = "run", *changes: Change, **settings: Any) -> float | None:
        return train(tiny(run_dir=str(tmp_path / name), **settings), *changes)

    return trained


def at_grad_step(step: int, action: Change) -> Change:
    """Has `action` happen in the middle of a run: before gradient step `step`."""

    def change(run: Run) -> None:
        agent: Any = run.agent
        update = agent.update

        def wrapped(batch: Any) -> Any:
            if run.progress.grad_steps == step - 1:
                action(run)
            return update(batch)

        agent.update = wrapped

    return change


def rows(path: Path) -> list[dict[str, float]]:
    return read_rows(path / "metrics.jsonl")[0]


def content(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def final_state(path: Path) -> dict[str, Any]:
    """Returns the state in the newest checkpoint of a run directory."""
    return find(path).state
