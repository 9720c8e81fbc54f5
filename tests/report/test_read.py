from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import yaml

from deepcrl.report.read import read_runs


def test_runs_are_found_in_a_sweep_once_each_and_in_order(write, tmp_path: Path) -> None:
    for seed in (1, 0):
        write(tmp_path / "sweep" / "deep" / f"seed={seed}", [0, 5], seed=seed)
    (tmp_path / "sweep" / "multirun.yaml").write_text("hydra: {}")
    found = read_runs([tmp_path / "sweep", tmp_path / "sweep" / "deep" / "seed=0"])
    assert [run.path.name for run in found.runs] == ["seed=0", "seed=1"]
    assert [run.seed for run in found.runs] == [0, 1]
    assert found.notes == []


def test_a_run_as_it_lies_on_disk(write, tmp_path: Path) -> None:
    (run,) = read_runs([write(tmp_path / "run", [0, 30, math.nan, 70], steps=1000, depth=8)]).runs
    assert run.task == "point_u_maze"
    assert run.config["encoder"]["depth"] == 8
    series = run.series("eval/time_at_goal")
    assert series["value"].tolist() == [0, 30, 70], "a score that is not finite is no score"
    assert series["env_steps"].tolist() == [0, 1000, 3000]
    assert series["wall_seconds"].tolist() == [0, 30, 90]
    assert len(run.series("critic/loss")["value"]) == 40
    assert len(run.series("never/measured")["value"]) == 0
    assert run.last("env_steps") == 3900
    assert run.environment["versions"]["torch"]


def test_the_task_is_where_a_run_is_scored(write, tmp_path: Path) -> None:
    elsewhere = {"name": "point_u_maze_eval"}
    (run,) = read_runs([write(tmp_path / "run", [0, 1], eval_env=elsewhere)]).runs
    assert run.task == "point_u_maze_eval"


def test_films_the_newest_last(write, tmp_path: Path) -> None:
    path = write(tmp_path / "run", [0])
    for i, name in enumerate(("videos/b.gif", "play.gif", "videos/a.gif")):
        (path / name).write_bytes(b"GIF89a")
        os.utime(path / name, (i, i))
    (run,) = read_runs([path]).runs
    assert [gif.name for gif in run.gifs()] == ["b.gif", "play.gif", "a.gif"]


@pytest.mark.parametrize(("lines", "said"), [(1, "1 corrupted line of"), (3, "3 corrupted lines of")])
def test_corrupted_lines_are_skipped_and_counted(write, tmp_path: Path, lines: int, said: str) -> None:
    path = write(tmp_path / "run", [0, 10])
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"env_steps": 3, "gra\n' * lines)
    found = read_runs([path])
    assert found.runs[0].num_bad_lines == lines
    assert len(found.runs[0].rows) == 20
    assert found.notes == [f"{path}: {said} metrics.jsonl skipped"]


def test_what_cannot_be_compared_is_noted_and_left_out(write, tmp_path: Path) -> None:
    write(tmp_path / "a_good", [0, 10])
    write(tmp_path / "b_unscored", [0], evaluate=False)
    (write(tmp_path / "c_damaged", [0]) / "config.yaml").write_text("env: [")
    (write(tmp_path / "d_nameless", [0]) / "config.yaml").write_text("seed: 3")
    (write(tmp_path / "e_lost", [0]) / "config.yaml").unlink()
    (write(tmp_path / "f_new", [0]) / "metrics.jsonl").write_text("")
    (write(tmp_path / "g_newer", [0]) / "metrics.jsonl").unlink()
    found = read_runs([tmp_path])
    assert [run.path.name for run in found.runs] == ["a_good"]
    assert [note.removeprefix(f"{tmp_path}{os.sep}") for note in found.notes] == [
        "b_unscored: no evaluation yet (eval_every=1000000); left out",
        "c_damaged: config.yaml is damaged; left out",
        "d_nameless: config.yaml names no env; left out",
        "e_lost: there is no config.yaml; left out",
        "f_new: there are no metrics yet; left out",
        "g_newer: there are no metrics yet; left out",
    ]


def test_nothing_to_compare_is_one_line(write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"No run in .*: a run directory has a config.yaml and a metrics.jsonl"):
        read_runs([tmp_path])
    write(tmp_path / "run", [0], evaluate=False)
    write(tmp_path / "run2", [0], evaluate=False)
    with pytest.raises(ValueError, match=r"No run in .* can be compared: .*no evaluation yet.* \(and 1 more\)"):
        read_runs([tmp_path])
    with pytest.raises(ValueError, match="nowhere does not exist"):
        read_runs([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="is a file; name a run directory, or a folder of them"):
        read_runs([tmp_path / "run" / "metrics.jsonl"])


def test_a_folder_that_may_not_be_read(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str | Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as root, who may read everything
    with pytest.raises(ValueError, match=r"^Cannot read .*closed: Permission denied$"):
        read_runs([tmp_path / "closed"])


def test_learners_are_runs_of_their_own(write, tmp_path: Path) -> None:
    learners = {"deep": {"encoder": {"depth": 16}}, "untold": {"encoder": {"depth": 8}}}
    more = {"deep/eval/time_at_goal": 7.0, "deep/critic/loss": 0.5}
    found = read_runs([write(tmp_path / "run", [1, 2], more=more, learners=learners, seed=3)])
    acting, deep = found.runs
    assert (acting.name, deep.name) == (str(tmp_path / "run"), f"{tmp_path / 'run'} (deep)")
    assert [run.config["learner"] for run in found.runs] == ["acting", "deep"]
    assert [run.config["encoder"]["depth"] for run in found.runs] == [4, 16]
    assert [run.seed for run in found.runs] == [3, 3]
    assert set(deep.series("eval/time_at_goal")["value"]) == {7.0}
    assert set(deep.series("critic/loss")["value"]) == {0.5}
    assert deep.last("env_steps") == acting.last("env_steps") > 0


def test_a_learner_that_this_version_does_not_know_is_noted(write, tmp_path: Path) -> None:
    path = write(
        tmp_path / "run", [1, 2], more={"odd/eval/time_at_goal": 7.0}, learners={"odd": {"encoder": {"depth": 8}}}
    )
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["learners"]["odd"] = {"buffer": {"name": "ring"}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    found = read_runs([path])
    assert [run.learner for run in found.runs] == [""]
    assert "learner odd left out, Unknown setting of learner 'odd'" in found.notes[0]
