"""Runs that somebody else has written: what cannot be read is named and left out, nothing outside of them is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepcrl.report.check import check_config, names_module
from deepcrl.report.content import content
from deepcrl.report.read import read_runs

CONFIG: dict[str, Any] = {"env": {"name": "nowhere"}, "seed": 3}
ROW = {"env_steps": 10, "grad_steps": 1, "wall_seconds": 2.0, "eval/time_at_goal": 5.0}


def run_of(path: Path, config: Any = CONFIG, rows: list[str] | None = None) -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    (path / "metrics.jsonl").write_text("".join(f"{row}\n" for row in (rows or [json.dumps(ROW)])))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"env": "ant"}, "names no env"),
        ({"env": {"name": ["ant"]}}, "has no name in env={'name': ['ant']}"),
        ({"eval_env": "ant"}, "has no name in eval_env='ant'"),
        ({"eval_env": {}}, "has no name in eval_env={}"),
        ({"encoder": "mlp"}, "has encoder='mlp', which is no group of settings"),
        ({"learners": ["deep"]}, "has learners=['deep'], which is no group of settings"),
        ({"seed": None}, "has seed=None, which is no whole number of at least 0"),
        ({"seed": "0"}, "has seed='0', which is no whole number of at least 0"),
        ({"seed": True}, "has seed=True, which is no whole number of at least 0"),
        ({"seed": 10**400}, f"has seed=1{'0' * 36}..., which is no whole number of at least 0"),
        ({"episode_length": 0}, "has episode_length=0, which is no whole number of at least 1"),
        ({"agent": {"lr": -(10**400)}}, "has a number of 402 digits"),
        ({"agent": {7: 1}}, "has the key 7, which is no text"),
    ],
)
def test_a_config_that_cannot_be_compared(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^config.yaml ") as error:
        check_config(CONFIG | changes)
    assert str(error.value) == f"config.yaml {said}"
    run_of(tmp_path / "bad", CONFIG | changes)
    run_of(tmp_path / "good")
    found = read_runs([tmp_path])
    assert [run.path.name for run in found.runs] == ["good"]
    assert found.notes == [f"{tmp_path / 'bad'}: config.yaml {said}; left out"]


def test_a_config_that_can(tmp_path: Path) -> None:
    check_config(CONFIG | {"eval_env": None, "encoder": None, "learners": None, "episode_length": 1})
    check_config({"env": {"name": "ant", "layout": [[1, 2.0], None]}})
    assert read_runs([run_of(tmp_path / "run")]).runs[0].seed == 3


@pytest.mark.parametrize("text", ["[" * 100_000, "env: {name: x, deep: " + "[" * 50 + "]" * 50 + "}", "\0", "{}", "7"])
def test_a_config_that_is_none(text: str, tmp_path: Path) -> None:
    run_of(tmp_path / "bad", text)
    run_of(tmp_path / "good")
    found = read_runs([tmp_path])
    assert [run.path.name for run in found.runs] == ["good"]
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    "value", ['"high"', "[1]", "{}", "1" + "0" * 400, "1" + "0" * 5000, "[" * 100_000], ids=lambda value: value[:6]
)
@pytest.mark.parametrize("key", ["eval/time_at_goal", "critic/loss", "env_steps"])
def test_a_row_that_holds_no_number_is_skipped_and_counted(value: str, key: str, tmp_path: Path) -> None:
    bad = json.dumps(ROW | {key: "HERE"}).replace('"HERE"', value)
    (run,) = read_runs([run_of(tmp_path / "run", rows=[json.dumps(ROW), bad])]).runs
    assert (run.rows, run.num_bad_lines) == ([ROW], 1)


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity", "-1"])
def test_counters_are_counts(value: str, tmp_path: Path) -> None:
    bad = json.dumps(ROW | {"grad_steps": "HERE"}).replace('"HERE"', value)
    (run,) = read_runs([run_of(tmp_path / "run", rows=[json.dumps(ROW), bad])]).runs
    assert run.num_bad_lines == 1


def test_the_page_of_odd_runs(tmp_path: Path) -> None:
    odd = CONFIG | {"agent": {"name": 3, "lr": float("nan")}, "loss": {"name": "infonce", "coef": float("inf")}}
    path = run_of(tmp_path / "odd", odd, [json.dumps(ROW | {"blocks/x": 1.0, "blocks/a/b/c/d/e": 2.0})])
    (path / "environment.json").write_text(json.dumps({"starts": [{"git": [1], "machine": "mine"}]}))
    run_of(tmp_path / "plain", CONFIG | {"agent": {"name": "crl", "lr": 0.1}, "encoder": {"name": "mlp", "depth": "x"}})
    shown = content(read_runs([tmp_path]), "title", tmp_path)
    json.dumps(shown, allow_nan=False)
    assert [group["parameters"] for group in shown["tasks"][0]["groups"]] == [None, None]
    assert {run["revision"] for group in shown["tasks"][0]["groups"] for run in group["runs"]} == {""}


def test_a_film_is_a_file_of_the_run(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("GIF89a: not yours")
    path = run_of(tmp_path / "runs" / "one")
    (path / "out.gif").symlink_to(secret)
    (path / "gone.gif").symlink_to(tmp_path / "nowhere")
    (path / "folder.gif").mkdir()
    assert read_runs([path]).runs[0].gifs() == []
    (path / "videos").mkdir()
    (path / "videos" / "own.gif").write_bytes(b"GIF89a")
    (path / "inside.gif").symlink_to(path / "videos" / "own.gif")
    assert {gif.name for gif in read_runs([path]).runs[0].gifs()} == {"own.gif", "inside.gif"}


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "environment.json"])
def test_nothing_outside_a_run_is_read(name: str, tmp_path: Path) -> None:
    other = run_of(tmp_path / "other")
    (other / "environment.json").write_text("{}")
    path = run_of(tmp_path / "run")
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(other / name)
    found = read_runs([tmp_path])
    assert [run.path.name for run in found.runs] == ["other"]
    assert found.notes == [f"{path}: {name} is a link that leads out of the run; left out"]
    linked = tmp_path / "linked"
    linked.symlink_to(other)
    assert len(read_runs([linked]).runs) == 1, "a folder that the user names may be a link"


def test_a_link_to_a_film_is_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepcrl.report.attachments.MAX_FILM_BYTES", 0)
    monkeypatch.chdir(tmp_path)
    run_of(Path("javascript:alert(1)"))
    Path("javascript:alert(1)", "a #1.gif").write_bytes(b"GIF89a")
    shown = content(read_runs([Path("javascript:alert(1)")]), "title", Path())
    assert shown["tasks"][0]["groups"][0]["film"]["link"] == "javascript%3Aalert%281%29/a%20%231.gif"


def test_checkpoints_that_lead_out_of_a_run_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "step_1_1").mkdir(parents=True)
    path = run_of(tmp_path / "run")
    (path / "checkpoints").symlink_to(tmp_path / "elsewhere")
    notes = content(read_runs([path]), "title", tmp_path)["notes"]
    assert notes == [f"{path}: no value map, its checkpoints are links that lead out of the run"]


def test_an_env_whose_id_names_a_module_is_not_built(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names_module({"env": {"name": "gymnasium", "id": "antigravity:X-v0"}})
    assert names_module({"env": {"name": "ant"}, "eval_env": {"id": "this:X-v0"}})
    assert not names_module({"env": {"name": "gymnasium", "id": "Reacher-v5"}, "eval_env": None})
    monkeypatch.setattr("deepcrl.report.sizes._sizes", lambda text: pytest.fail("built"))
    path = write(tmp_path / "run", [0, 1])
    config = yaml.safe_load((path / "config.yaml").read_text()) | {"env": {"name": "gymnasium", "id": "this:X-v0"}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    assert content(read_runs([path]), "title", tmp_path)["tasks"][0]["groups"][0]["parameters"] is None
