"""Runs that somebody else has written: what cannot be read is named and left out, nothing outside of them is shown."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepcrl.core.components import ENCODERS
from deepcrl.report import read
from deepcrl.report.check import check_config, names_module
from deepcrl.report.content import content
from deepcrl.report.read import read_runs
from deepcrl.report.write import write_csv, write_page, write_pngs
from deepcrl.run import checkpoint

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
    monkeypatch.setattr("deepcrl.report.pictures.attachments.MAX_FILM_BYTES", 0)
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


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "environment.json"])
@pytest.mark.parametrize("what", ["pipe", "folder", "loop", "large"])
def test_only_files_of_a_bounded_size_are_read(
    name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run_of(tmp_path / "bad")
    run_of(tmp_path / "good")
    (path / name).unlink(missing_ok=True)
    said = f"{name} is no file"
    if what == "pipe":
        os.mkfifo(path / name)
    elif what == "folder":
        (path / name).mkdir()
    elif what == "loop":
        (path / name).symlink_to(name)
        said = "there is no config.yaml" if name == "config.yaml" else f"{name} is a link that leads out of the run"
    else:
        monkeypatch.setattr(read, "MAX_BYTES", (200, 200, 200))
        (path / name).write_text("x" * 201)
        said = f"{name} has 201 bytes, and a run's has at most 200"
    found = read_runs([tmp_path])
    assert [run.path.name for run in found.runs] == ["good"]
    assert found.notes == [f"{path}: {said}; left out"]


def test_yaml_that_says_one_thing_over_and_over(tmp_path: Path) -> None:
    lists = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 18)]
    run_of(tmp_path / "bad", "\n".join(["a0: &a0 x", *lists, "env: {name: *a17}"]))
    run_of(tmp_path / "good")
    assert read_runs([tmp_path]).notes == [f"{tmp_path / 'bad'}: config.yaml holds more than 10,000 values; left out"]


def test_lines_that_are_no_rows_are_not_read_to_the_end(tmp_path: Path) -> None:
    run_of(tmp_path / "bad", rows=[json.dumps(ROW), *["x"] * 2000])
    run_of(tmp_path / "good", rows=[*["x"] * 1000, json.dumps(ROW)])
    found = read_runs([tmp_path])
    assert [run.num_bad_lines for run in found.runs] == [1000]
    assert found.notes[0].endswith("metrics.jsonl is damaged: of its first lines 1,002 are no rows; left out")


@pytest.mark.parametrize(("value", "num_bad"), [(1e100, 0), (1.7e308, 5)])
def test_numbers_without_a_sum_are_none(value: float, num_bad: int, tmp_path: Path) -> None:
    for seed in (0, 1):
        rows = [json.dumps(ROW | {"env_steps": 10 * i, "eval/time_at_goal": value}) for i in range(5)]
        rows += [json.dumps(ROW)]
        run_of(tmp_path / f"{seed}", CONFIG | {"seed": seed}, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_runs([tmp_path])
        write_page(found, tmp_path / "page.html", "title")
        write_csv(found, tmp_path / "table.csv")
        write_pngs(found, tmp_path)
    assert [run.num_bad_lines for run in found.runs] == [num_bad] * 2


def test_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    run_of(tmp_path / "\udcff")
    write_page(read_runs([tmp_path]), tmp_path / "page.html", "\udcff")
    write_csv(read_runs([tmp_path]), tmp_path / "table.csv")
    assert "/\\udcff" in (tmp_path / "page.html").read_text()


def test_a_checkpoint_of_larger_networks_than_its_file_is_not_built(
    tiny, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", [0, 1])
    wide = tiny(encoder=ENCODERS.defaults("residual_mlp") | {"width": 4096}).to_dict()
    checkpoint.save(path / "checkpoints", {"config": wide, "run": {}}, env_steps=1, grad_steps=1, keep=1)
    monkeypatch.setattr("deepcrl.report.pictures.attachments.maps", lambda _: pytest.fail("built"))
    notes = content(read_runs([path]), "title", tmp_path)["notes"]
    assert notes == [f"{path}: no value map, its settings are of larger networks than it holds"]


@pytest.mark.parametrize("name", ["meta.json", "state.pt"])
def test_a_checkpoints_files_may_not_lead_out_either(name: str, write, tmp_path: Path) -> None:
    path = write(tmp_path / "run", [0, 1])
    saved = checkpoint.save(path / "checkpoints", {"config": {}}, env_steps=1, grad_steps=1, keep=1)
    (saved.path / name).rename(tmp_path / name)
    (saved.path / name).symlink_to(tmp_path / name)
    notes = content(read_runs([path]), "title", tmp_path)["notes"]
    assert notes == [f"{path}: no value map, its checkpoints are links that lead out of the run"]
