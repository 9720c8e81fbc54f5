"""`deepcrl report`."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_compares_runs_of_a_sweep(deepcrl, tiny, tmp_path: Path) -> None:
    for loss in ("infonce", "dcl"):
        assert deepcrl("train", *tiny, "total_env_steps=120", f"loss={loss}", f"run_dir=sweep/{loss}").code == 0
    with (tmp_path / "sweep" / "dcl" / "metrics.jsonl").open("a") as file:
        file.write('{"env_steps": 1')
    result = deepcrl("report", "sweep", "--csv", "out/scores.csv", "--png", "out")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "note: sweep/dcl: 1 corrupted line of metrics.jsonl skipped",
        "2 runs: report.html, out/scores.csv, out/point_u_maze.png, out/point_u_maze_scores.png",
    ]
    assert "loss=dcl" in Path("report.html").read_text()
    assert "loss=infonce" in Path("out/scores.csv").read_text()


def test_one_run_and_what_its_checkpoint_shows(deepcrl, tiny) -> None:
    assert deepcrl("train", *tiny, "total_env_steps=120", "run_dir=run").code == 0
    assert deepcrl("report", "run").out == "1 run: report.html\n"
    assert '"value_map":{' in Path("report.html").read_text()
    assert deepcrl("report", "run", "--no-maps").code == 0
    assert '"value_map":{' not in Path("report.html").read_text()


def test_runs_of_several_tasks_and_one_without_an_evaluation(deepcrl, tiny) -> None:
    short = (*tiny, "total_env_steps=120")
    for env in ("point_u_maze", "point_big_maze"):
        assert deepcrl("train", *short, f"env={env}", f"run_dir=runs/{env}").code == 0
    rows = Path("runs/point_big_maze/metrics.jsonl").read_text().splitlines(keepends=True)
    unscored = Path("runs/unscored")
    unscored.mkdir()
    (unscored / "config.yaml").write_text(Path("runs/point_big_maze/config.yaml").read_text())
    (unscored / "metrics.jsonl").write_text("".join(row for row in rows if "eval/" not in row))
    result = deepcrl("report", "runs", "--csv", "scores.csv", "--no-maps")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "note: runs/unscored: no evaluation yet (eval_every=100); left out",
        "2 runs: report.html, scores.csv",
    ]
    tasks = [line.partition(",")[0] for line in Path("scores.csv").read_text().splitlines()[1:]]
    assert tasks == ["point_big_maze", "point_u_maze"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere does not exist"),
        (("empty",), "No run in empty: a run directory has a config.yaml and a metrics.jsonl"),
        (("empty", "-o", ""), "--output names no file: ''"),
        (("empty", "-o", "empty"), "--output empty is a folder; name a file"),
        (("empty", "--csv", " "), "--csv names no file: ' '"),
        (("empty", "--csv", "file/scores.csv"), "--csv file/scores.csv cannot be written: {}/file is a file"),
        (("empty", "--csv", "./report.html"), "--csv report.html is the page itself; choose another file"),
        (("empty", "--png", ""), "--png names no folder: ''"),
        (("empty", "--png", "file"), "--png file is a file; name a folder"),
        ((), "the following arguments are required: PATH (deepcrl report --help shows the usage)"),
    ],
)
def test_mistakes_are_one_line(deepcrl, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert deepcrl("report", *arguments).error == message.format(tmp_path)
    assert not (tmp_path / "report.html").exists()
