"""A run on disk, from the first check to the last picture; what a signal or a kill leaves behind."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepcrl.envs.pictures import renderer
from deepcrl.kernels import dispatch
from deepcrl.run import checkpoint
from deepcrl.run import training as module
from deepcrl.run.directory import RunDir
from deepcrl.run.start import Start, continued, resumed
from deepcrl.run.training import train_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.run import Run
from tests.train_fixture import at_grad_step, final_state, rows


def raises(*numbers: signal.Signals) -> Callable[..., None]:
    def action(*args: Any, **kwargs: Any) -> None:
        for number in numbers:
            signal.raise_signal(number)

    return action


@pytest.mark.parametrize(
    ("precision", "fast", "row"),
    [
        ("auto", True, "bf16 +of auto: cpu multiplies it fastest"),
        ("auto", False, "fp32 +of auto: cpu has no instructions for bf16"),
        ("bf16", False, "bf16 +no faster than fp32: cpu has no instructions for it"),
        ("bf16", True, None),
        ("fp32", False, None),
    ],
)
def test_the_table_says_what_precision_costs(
    trained, monkeypatch, capsys: pytest.CaptureFixture[str], precision: str, fast: bool, row: str | None
) -> None:
    monkeypatch.setattr(dispatch, "bf16_is_fast", lambda device: fast)
    trained(precision=precision, total_env_steps=100)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("precision")]
    assert len(rows) == (row is not None)
    assert not row or re.fullmatch(f"precision +{row} *", rows[0])


@pytest.mark.draws
def test_leaves_a_complete_directory(trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"

    def explained(model: Run) -> None:
        evaluate = model.evaluate

        def checked(interrupt: Interrupt) -> dict[str, float]:  # called before the first step
            assert (run / "config.yaml").exists()
            assert (run / "environment.json").exists()
            return evaluate(interrupt)

        model.evaluate = checked

    score = trained("run", explained)
    assert not (run / "unstable").exists()
    assert len(rows(run)) == 21
    assert score == rows(run)[-1]["eval/time_at_goal"]
    assert [saved.path.name for saved in checkpoint.list_checkpoints(run / "checkpoints")] == [
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


def test_ends_with_a_video(trained, tmp_path: Path, same) -> None:
    trained(video=True)
    names = [path.name for path in sorted((tmp_path / "run" / "videos").iterdir())]
    assert names == ["point_u_maze_400.gif", "point_u_maze_400.mp4"]
    trained("other", video=False)
    same(final_state(tmp_path / "run"), final_state(tmp_path / "other"))


def test_a_machine_without_opengl_succeeds(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_opengl() -> None:
        raise RuntimeError("Cannot render: no OpenGL without a display")

    monkeypatch.setattr(renderer, "choose_gl", no_opengl)
    trained(video=True)
    out = capsys.readouterr().out.splitlines()
    assert out[-2:] == [f"{tmp_path}/run/plots/curves.png", f"Done: {tmp_path}/run"]
    assert out[-3] == "No video: Cannot render: no OpenGL without a display"
    trained(video=True)
    assert "Already finished" in capsys.readouterr().out  # and does not try again


@pytest.mark.parametrize("number", Interrupt.SIGNALS)
def test_a_signal_while_filming(
    trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(module, "film", raises(number, number))
    with pytest.raises(SystemExit) as exited:
        trained(video=True, total_env_steps=100)
    assert exited.value.code == 128 + number
    assert capsys.readouterr().out.endswith(f"Stopped while drawing; the run is saved: {tmp_path}/run\n")
    assert checkpoint.find(tmp_path / "run").path.name == "step_0000000000100_00000000004"


@pytest.mark.parametrize("error", [ValueError, KeyError])
def test_a_mistake_in_filming_is_not_hidden(trained, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def wrong(*args: Any, **kwargs: Any) -> None:
        raise error("a bug")

    monkeypatch.setattr(module, "film", wrong)
    with pytest.raises(error, match="a bug"):
        trained(video=True)


@pytest.mark.parametrize("number", Interrupt.SIGNALS)
def test_a_signal_saves_draws_and_exits(
    trained,
    tmp_path: Path,
    same,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    number: signal.Signals,
) -> None:
    run = tmp_path / "run"
    usual = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, usual))  # a suite started by `nohup` ignores SIGHUP, as runs do
    with pytest.raises(SystemExit) as exited:
        trained("run", at_grad_step(23, raises(number)), video=True)  # the third of the four of its unroll
    assert exited.value.code == 128 + number
    assert checkpoint.find(run).path.name == "step_0000000000200_00000000023"  # that step was finished, no other begun
    assert (run / "plots" / "curves.png").exists()
    assert list((run / "videos").iterdir()) == []  # a film takes too long for somebody who wants to stop
    assert capsys.readouterr().out.endswith(f"Saved. Go on with: deepcrl train resume={run}\n")
    trained()
    trained("straight")
    same(rows(run), rows(tmp_path / "straight"))
    same(final_state(run), final_state(tmp_path / "straight"))


def test_the_second_ctrl_c_stops_at_once(trained, tmp_path: Path) -> None:
    kept: list[Run] = []
    with pytest.raises(KeyboardInterrupt):
        trained("run", kept.append, at_grad_step(23, raises(signal.SIGINT, signal.SIGINT)))
    assert kept[0].progress.grad_steps == 22
    assert checkpoint.find(tmp_path / "run").path.name == "step_0000000000100_00000000004"


class Killed(BaseException):
    pass


def kill(run: Run) -> None:
    raise Killed


def test_a_killed_run_computes_the_lost_rows_again(trained, tmp_path: Path, same) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        trained("run", at_grad_step(40, kill))
    assert rows(run)[-1]["grad_steps"] > 24  # past the last checkpoint
    trained()
    trained("straight")
    same(rows(run), rows(tmp_path / "straight"))
    same(final_state(run), final_state(tmp_path / "straight"))


def test_a_finished_run_says_so(trained, tmp_path: Path, same, capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    before = rows(tmp_path / "run")
    capsys.readouterr()
    assert trained() is None
    assert capsys.readouterr().out.endswith(
        f"Already finished: {tmp_path}/run (a larger total_env_steps would go on)\n"
    )
    same(rows(tmp_path / "run"), before)


def test_a_complete_run_of_a_sweep_is_not_even_built(
    tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build_run", kill)
    start = Start(tiny(run_dir=str(tmp_path / "run")), None, RunDir(tmp_path / "run"), score=7.0)
    assert train_run(start) == 7
    assert capsys.readouterr().out == f"Already complete: {tmp_path}/run\n"
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_goes_on_with_a_larger_total(trained, tmp_path: Path, same) -> None:
    trained()
    trained(total_env_steps=600)
    trained("straight", total_env_steps=600)
    same(rows(tmp_path / "run"), rows(tmp_path / "straight"))
    same(final_state(tmp_path / "run"), final_state(tmp_path / "straight"))


def test_a_ring_on_disk_gives_the_same_run_also_after_a_kill(trained, tmp_path: Path, same) -> None:
    memory, disk = ({"buffer": {"name": name, "capacity": 20}} for name in ("ring", "disk_ring"))
    for at in (40, 60):  # the ring of 20 steps has wrapped by then
        with pytest.raises(Killed):
            trained("run", at_grad_step(at, kill), **disk)
    trained(**disk)
    trained("straight", **memory)
    same(rows(tmp_path / "run"), rows(tmp_path / "straight"))
    ends = [final_state(tmp_path / name) for name in ("run", "straight")]
    same(*({key: value for key, value in end.items() if key != "buffer"} for end in ends))
    assert set(ends[0]["buffer"]) == {"num_rows", "num_steps", "checksums", "generator"}


def test_a_run_that_stopped_before_its_first_checkpoint_starts_anew(
    tiny, trained, tmp_path: Path, same, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    settings = {"total_env_steps": 100, "seed": 7}
    with pytest.raises(Killed):
        trained("run", lambda model: setattr(model, "evaluate", kill), **settings)
    (run / "metrics.jsonl").write_text('{"env_steps": 0, "grad_steps": 0, "wall_seconds": 0.0}\n')
    assert checkpoint.list_checkpoints(run / "checkpoints") == []
    train_run(resumed(run, {}, {}))
    assert "Starts anew" in capsys.readouterr().out
    assert len((run / "aside_metrics.jsonl").read_text().splitlines()) == 1
    trained("straight", **settings)
    same(rows(run), rows(tmp_path / "straight"))
    same(final_state(run), final_state(tmp_path / "straight"))


def test_the_first_checkpoint_follows_the_first_evaluation(trained, tmp_path: Path, same) -> None:
    run = tmp_path / "run"
    with pytest.raises(Killed):
        trained("run", at_grad_step(1, kill), total_env_steps=100)
    assert checkpoint.find(run).path.name == "step_0000000000000_00000000000"
    trained(total_env_steps=100)
    trained("straight", total_env_steps=100)
    same(rows(run), rows(tmp_path / "straight"))
    same(final_state(run), final_state(tmp_path / "straight"))


def test_a_run_killed_while_drawing_is_drawn_on_resume(
    tiny, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    filmed: list[Path] = []
    monkeypatch.setattr(module, "film", lambda act, config, path: filmed.append(path) or path.touch() or [path])
    with monkeypatch.context() as patch:
        patch.setattr(module, "plot_run", kill)
        with pytest.raises(Killed):
            trained("run", total_env_steps=100, video=True)
    (run / "videos" / ".unfinished.point_u_maze_100.mp4").touch()
    config = tiny(run_dir=str(run), total_env_steps=100, video=True)
    start = continued(config)
    assert start.score is not None
    assert train_run(start) == start.score  # of a sweep, which knows that it is complete
    assert (run / "plots" / "curves.png").exists()
    assert [path.name for path in (run / "videos").iterdir()] == ["point_u_maze_100.mp4"]
    filmed[0].unlink()
    assert trained(total_env_steps=100, video=True) is None  # by resume=
    assert len(filmed) == 2
    capsys.readouterr()
    trained(total_env_steps=100, video=True)
    assert "Already finished" in capsys.readouterr().out
    assert len(filmed) == 2


def test_damaged_metrics_are_told_once(trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(total_env_steps=200)
    path = tmp_path / "run" / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"torn\n", *lines[4:]]))
    told = f"{path} is damaged: of the rows before the checkpoint, 1 of 11 are lost; the file as it was: "
    for total, is_told in ((240, True), (280, False)):
        capsys.readouterr()
        trained(total_env_steps=total)
        assert (told in capsys.readouterr().out) == is_told
    assert [row["env_steps"] for row in rows(tmp_path / "run")] == [0, 20, 40, *range(80, 281, 20)]
