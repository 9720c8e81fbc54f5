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
        "2 runs: report.html, out/scores.csv, out/point_u_maze.png",
    ]
    assert "loss=dcl" in Path("report.html").read_text()
    assert "loss=infonce" in Path("out/scores.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere does not exist"),
        (("empty",), "No run in empty: a run directory has a config.yaml and a metrics.jsonl"),
        ((), "the following arguments are required: PATH (deepcrl report --help shows the usage)"),
    ],
)
def test_mistakes_are_one_line(deepcrl, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "empty").mkdir()
    assert deepcrl("report", *arguments).error == message
    assert not (tmp_path / "report.html").exists()
