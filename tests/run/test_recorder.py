"""A run on disk, from the first check to the last picture; what a signal, a full disk or a NaN leaves behind."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from deepcrl.envs.pictures import renderer
from deepcrl.run import checkpoint, metrics
from deepcrl.run import recorder as module
from deepcrl.run.checkpoint import CheckpointError
from deepcrl.run.recorder import RecordError, Session
from deepcrl.train.loop import NonFiniteError


@pytest.fixture
def start(tiny, tmp_path: Path) -> Callable[..., Session]:
    """Starts the run `name`, or goes on with it where there is a checkpoint."""

    def build(name: str = "run", **changes: Any) -> Session:
        config = tiny(run_dir=str(tmp_path / name), **changes)
        if not (tmp_path / name).exists():
            return Session(config)
        origin = checkpoint.find(tmp_path / name)
        return Session(config, checkpoint.load(origin), origin)

    return build


def rows(path: Path) -> list[dict[str, float]]:
    return metrics.read_rows(path / "metrics.jsonl")[0]


def content(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def final_state(path: Path) -> dict[str, Any]:
    return checkpoint.load(checkpoint.find(path))["run"]


def at_grad_step(session: Session, step: int, action: Callable[[], object]) -> None:
    """Has `action` happen in the middle of the run: before gradient step `step`."""
    agent, update = session.model.agent, session.model.agent.update

    def wrapped(batch: Any) -> Any:
        if session.model.progress.grad_steps == step - 1:
            action()
        return update(batch)

    agent.update = wrapped


def raises(*numbers: signal.Signals) -> Callable[..., None]:
    def action(*args: Any, **kwargs: Any) -> None:
        for number in numbers:
            signal.raise_signal(number)

    return action


def test_leaves_a_complete_directory(start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = start()
    run = tmp_path / "run"
    assert (run / "config.yaml").exists()
    assert (run / "environment.json").exists()
    score = session.run()
    assert not (run / "unstable").exists()
    assert len(rows(run)) == 21
    assert score == rows(run)[-1]["eval/time_at_goal"]
    assert [path.name for path in checkpoint.list_checkpoints(run / "checkpoints")] == [
        "step_0000000000300_00000000044",
        "step_0000000000400_00000000064",
    ]
    assert (run / "plots" / "curves.png").stat().st_size > 0
    assert list((run / "videos").iterdir()) == []
    out = capsys.readouterr().out
    assert "Unstable" not in out
    assert "4 + 16 unrolls (prefill + training) of 20" in out
    assert f"\nCtrl-C saves and stops; go on with: deepcrl train resume={run}\n" in out
    assert out.endswith(f"Done: {run}\n")


def test_ends_with_a_video(start, tmp_path: Path, same) -> None:
    start(video=True).run()
    names = [path.name for path in sorted((tmp_path / "run" / "videos").iterdir())]
    assert names == ["point_u_maze_400.gif", "point_u_maze_400.mp4"]
    start("other", video=False).run()
    same(final_state(tmp_path / "run"), final_state(tmp_path / "other"))


def test_a_machine_without_opengl_succeeds(
    start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_opengl() -> None:
        raise RuntimeError("Cannot render: no OpenGL without a display")

    monkeypatch.setattr(renderer, "choose_gl", no_opengl)
    start(video=True).run()
    out = capsys.readouterr().out.splitlines()
    assert out[-2:] == [f"{tmp_path}/run/plots/curves.png", f"Done: {tmp_path}/run"]
    assert out[-3] == "No video: Cannot render: no OpenGL without a display"


def test_ctrl_c_while_filming(start, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    def ctrl_c(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt  # as Python's handler does, which a shell's background jobs lack

    monkeypatch.setattr(module, "film", ctrl_c)
    with pytest.raises(SystemExit) as exited:
        start(video=True).run()
    assert exited.value.code == 130
    assert capsys.readouterr().out.endswith(f"Stopped while drawing; the run is saved: {tmp_path}/run\n")
    assert checkpoint.find(tmp_path / "run").name == "step_0000000000400_00000000064"


@pytest.mark.parametrize("error", [ValueError, KeyError])
def test_a_mistake_in_filming_is_not_hidden(start, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def wrong(*args: Any, **kwargs: Any) -> None:
        raise error("a bug")

    monkeypatch.setattr(module, "film", wrong)
    with pytest.raises(error, match="a bug"):
        start(video=True).run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_draws_and_exits(
    start, tmp_path: Path, same, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    session, run = start(video=True), tmp_path / "run"
    at_grad_step(session, 23, raises(number))  # the third of the four of its unroll
    with pytest.raises(SystemExit) as exited:
        session.run()
    assert exited.value.code == 128 + number
    assert checkpoint.find(run).name == "step_0000000000200_00000000023"  # that step was finished, no other begun
    assert (run / "plots" / "curves.png").exists()
    assert list((run / "videos").iterdir()) == []  # a film takes too long for somebody who wants to stop
    assert capsys.readouterr().out.endswith(f"Saved. Go on with: deepcrl train resume={run}\n")
    start().run()
    start("straight").run()
    same(rows(run), rows(tmp_path / "straight"))
    same(final_state(run), final_state(tmp_path / "straight"))


def test_the_second_ctrl_c_stops_at_once(start, tmp_path: Path) -> None:
    session = start()
    at_grad_step(session, 23, raises(signal.SIGINT, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        session.run()
    assert session.model.progress.grad_steps == 22
    assert checkpoint.find(tmp_path / "run").name == "step_0000000000100_00000000004"


def test_a_killed_run_computes_the_lost_rows_again(start, tmp_path: Path, same) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    session, run = start(), tmp_path / "run"
    at_grad_step(session, 40, kill)
    with pytest.raises(Killed):
        session.run()
    assert rows(run)[-1]["grad_steps"] > 24  # past the last checkpoint
    start().run()
    start("straight").run()
    same(rows(run), rows(tmp_path / "straight"))
    same(final_state(run), final_state(tmp_path / "straight"))


def test_a_finished_run_says_so(start, tmp_path: Path, same, capsys: pytest.CaptureFixture[str]) -> None:
    start().run()
    before = rows(tmp_path / "run")
    capsys.readouterr()
    assert start().run() is None
    assert capsys.readouterr().out.endswith(
        f"Already finished: {tmp_path}/run (a larger total_env_steps would go on)\n"
    )
    same(rows(tmp_path / "run"), before)


def test_a_finished_run_goes_on_with_a_larger_total(start, tmp_path: Path, same) -> None:
    start().run()
    start(total_env_steps=600).run()
    start("straight", total_env_steps=600).run()
    same(rows(tmp_path / "run"), rows(tmp_path / "straight"))
    same(final_state(tmp_path / "run"), final_state(tmp_path / "straight"))


def test_nan_stops_with_a_dump_and_leaves_the_good_checkpoints(start, tmp_path: Path) -> None:
    session, run = start(keep_checkpoints=1), tmp_path / "run"

    def spoil() -> None:
        next(session.model.agent.networks["actor"].parameters()).data.fill_(float("nan"))

    at_grad_step(session, 30, spoil)
    with pytest.raises(NonFiniteError, match="after 32 gradient steps: ") as raised:
        session.run()
    assert "\n" not in str(raised.value)
    (dump,) = (run / "nan_dump").iterdir()
    assert str(raised.value).endswith(f"State dumped to {dump}")
    assert checkpoint.load(dump)["run"]["progress"]["grad_steps"] == 32
    assert checkpoint.find(run).name == "step_0000000000200_00000000024"
    assert all(torch.isfinite(p).all() for p in final_state(run)["agent"]["networks"]["actor"].values())


def full(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_saving(start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, run = start(), tmp_path / "run"
    at_grad_step(session, 30, lambda: monkeypatch.setattr(checkpoint.torch, "save", full))
    with pytest.raises(CheckpointError, match=r"No space left on device\. Go on from the last whole one with resume="):
        session.run()
    monkeypatch.undo()
    kept = [path.name for path in (run / "checkpoints").iterdir()]
    assert sorted(kept) == ["step_0000000000100_00000000004", "step_0000000000200_00000000024"]
    start().run()
    assert len(rows(run)) == 21


def test_a_full_disk_while_writing_metrics(start, monkeypatch: pytest.MonkeyPatch) -> None:
    session = start()
    at_grad_step(session, 30, lambda: monkeypatch.setattr(session._logs[0], "log", full))
    with pytest.raises(
        RecordError, match=r"Cannot write metrics to .*: No space left on device; go on from .* resume="
    ):
        session.run()


def test_a_full_disk_under_the_buffer(start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, run = start(), tmp_path / "run"
    at_grad_step(session, 30, lambda: monkeypatch.setattr(session.model.buffer, "insert", full))
    with pytest.raises(RecordError, match=r"No space left on device; go on from the last checkpoint with resume=") as e:
        session.run()
    assert str(e.value).endswith("step_0000000000200_00000000024")
    start().run()
    assert len(rows(run)) == 21


def test_a_ring_on_disk_gives_the_same_run_also_after_a_kill(start, tmp_path: Path, same) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    memory, disk = ({"buffer": {"name": name, "capacity": 20}} for name in ("ring", "disk_ring"))
    for at in (40, 60):  # the ring of 20 steps has wrapped by then
        session = start(**disk)
        at_grad_step(session, at, kill)
        with pytest.raises(Killed):
            session.run()
        del session
    start(**disk).run()
    start("straight", **memory).run()
    same(rows(tmp_path / "run"), rows(tmp_path / "straight"))
    ends = [final_state(tmp_path / name) for name in ("run", "straight")]
    same(*({key: value for key, value in end.items() if key != "buffer"} for end in ends))
    assert set(ends[0]["buffer"]) == {"num_rows", "num_steps", "checksums", "generator"}


def test_a_full_disk_while_drawing(start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "plot_run", full)
    with pytest.raises(RecordError, match="The run is saved, but its pictures are not: "):
        start().run()


def test_every_log_is_closed_when_training_fails(start, capsys: pytest.CaptureFixture[str]) -> None:
    session, closed = start(), []

    def fail(error: Exception) -> None:
        raise error

    def mirror(close: Callable[[], None]) -> Any:
        return SimpleNamespace(log=lambda row: row["grad_steps"] == 4 and fail(KeyError("a bug")), close=close)

    offline, refused = RuntimeError("no\nnetwork"), OSError(errno.ENOSPC, "full")
    jsonl, session._logs = session._logs[0], [*session._logs, mirror(lambda: fail(offline))]
    session._logs += [mirror(lambda: fail(refused)), mirror(lambda: closed.append(True))]
    with pytest.raises(KeyError, match="a bug"):
        session.run()
    assert closed == [True]
    with pytest.raises(ValueError, match="closed file"):
        jsonl.log({"env_steps": 0, "grad_steps": 0, "wall_seconds": 0})
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
    start, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        start(**changes)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_directory_that_was_there_keeps_what_is_in_it(tiny, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    config = tiny(run_dir=str(tmp_path), logger={"name": "wandb", "mode": "offfline"})
    with pytest.raises(ValueError, match="offfline"):
        Session(config)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]
    Session(tiny(run_dir=str(tmp_path)))  # it does not count as used


def test_a_used_directory_is_refused_untouched(start, tiny, tmp_path: Path) -> None:
    start().run()
    before = content(tmp_path / "run")
    with pytest.raises(ValueError, match="already holds a run; go on with it by resume="):
        Session(tiny(run_dir=str(tmp_path / "run")))
    assert content(tmp_path / "run") == before


def test_a_directory_has_one_writer(start, tmp_path: Path) -> None:
    first = start()
    first.save(first.model)
    before = content(tmp_path / "run")
    with pytest.raises(ValueError, match="run is being written by another deepcrl run, process"):
        start()
    assert content(tmp_path / "run") == before
    first.run()
    assert start().run() is None  # free again, and finished
