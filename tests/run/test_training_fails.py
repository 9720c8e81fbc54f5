"""What goes wrong before, in and after training: the run says so in one line and leaves what can be used."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from deepcrl.run import checkpoint
from deepcrl.run import training as module
from deepcrl.run.checkpoint import Checkpoint, CheckpointError
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import JsonlLogger
from deepcrl.run.recorder import RecordError
from deepcrl.run.start import Start, StartError
from deepcrl.run.training import train_run
from deepcrl.training.loop import NonFiniteError
from deepcrl.training.run import Run
from tests.train_fixture import at_grad_step, content, final_state, rows


def test_nan_stops_with_a_dump_and_leaves_the_good_checkpoints(trained, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def spoil(run: Run) -> None:
        next(run.agent.networks["actor"].parameters()).data.fill_(float("nan"))

    with pytest.raises(NonFiniteError, match="after 32 gradient steps: ") as raised:
        trained("run", at_grad_step(30, spoil), keep_checkpoints=1)
    assert "\n" not in str(raised.value)
    (dump,) = (run / "nan_dump").iterdir()
    assert str(raised.value).endswith(f"State dumped to {dump}")
    assert Checkpoint(dump).state["progress"]["grad_steps"] == 32
    assert checkpoint.find(run).path.name == "step_0000000000200_00000000024"
    assert all(torch.isfinite(p).all() for p in final_state(run)["agent"]["networks"]["actor"].values())


def full(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_saving(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    with (
        monkeypatch.context() as patch,
        pytest.raises(CheckpointError, match=r"No space left on device\. Go on from the last whole one with resume="),
    ):
        trained("run", at_grad_step(30, lambda run: patch.setattr(torch, "save", full)))
    kept = [path.name for path in (run / "checkpoints").iterdir()]
    assert sorted(kept) == ["step_0000000000100_00000000004", "step_0000000000200_00000000024"]
    trained()
    assert len(rows(run)) == 21


def test_a_full_disk_while_writing_metrics(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        RecordError, match=r"Cannot write metrics to .*: No space left on device; go on from .* resume="
    ):
        trained("run", at_grad_step(30, lambda run: monkeypatch.setattr(JsonlLogger, "log", full)))


def test_a_full_disk_under_the_buffer(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    with pytest.raises(RecordError, match=r"No space left on device; go on from the last checkpoint with resume=") as e:
        trained("run", at_grad_step(30, lambda run: monkeypatch.setattr(run.buffer, "insert", full)))
    assert str(e.value).endswith("step_0000000000200_00000000024")
    trained()
    assert len(rows(run)) == 21


def test_a_full_disk_while_drawing(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "plot_run", full)
    with pytest.raises(RecordError, match="The run is saved, but its pictures are not: "):
        trained()


def test_every_logger_is_closed_when_training_fails(
    trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> None:
        raise error

    mirror = SimpleNamespace(
        log=lambda row: None,
        close=lambda: fail(RuntimeError("no\nnetwork")),
    )
    monkeypatch.setattr(module, "build_mirror", lambda *_: mirror)
    closed = []
    monkeypatch.setattr(JsonlLogger, "close", lambda self: closed.append(self))
    with pytest.raises(KeyError, match="a bug"):
        trained("run", at_grad_step(4, lambda run: fail(KeyError("a bug"))))
    assert len(closed) == 1
    assert capsys.readouterr().out.endswith("SimpleNamespace did not close: no network\n")


BAD = [
    ({"loss": {"name": "inofnce"}}, "Did you mean 'infonce'"),
    ({"encoder": {"name": "residual_mlp", "depth": 6}}, "such as 4 or 8"),
    ({"eval_env": {"name": "ant"}}, "does not fit"),
    ({"buffer": {"name": "ring", "capacity": 10_000_000}, "num_envs": 200, "total_env_steps": 10**8}, "lower buffer"),
    ({"logger": {"name": "wandb", "mode": "offfline"}}, "Did you mean 'offline'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_a_run_that_cannot_work_leaves_no_directory(
    trained, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StartError, match=message) as raised:
        trained(**changes)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_bug_after_the_start_is_no_mistake_of_the_users(trained) -> None:
    def wrong(run: Run) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug") as raised:
        trained("run", at_grad_step(1, wrong))
    assert not isinstance(raised.value, StartError)


def test_a_directory_that_was_there_keeps_what_is_in_it(tiny, trained, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StartError, match="offfline"):
        trained("", logger={"name": "wandb", "mode": "offfline"})
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]
    trained("", total_env_steps=100)  # it does not count as used


def test_a_directory_that_was_used_meanwhile_is_refused_untouched(tiny, trained, tmp_path: Path) -> None:
    trained(total_env_steps=100)
    before = content(tmp_path / "run")
    with pytest.raises(StartError, match="already holds a run; go on with it by resume="):
        train_run(Start(tiny(run_dir=str(tmp_path / "run")), None, RunDir(tmp_path / "run")))
    assert content(tmp_path / "run") == before


def test_a_directory_has_one_writer(trained, tmp_path: Path) -> None:
    def second(run: Run) -> None:
        before = content(tmp_path / "run")
        with pytest.raises(StartError, match="run is being written by another deepcrl run, process"):
            trained()
        assert content(tmp_path / "run") == before

    trained("run", at_grad_step(30, second))
    assert trained() is None  # free again, and finished
