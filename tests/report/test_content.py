from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from deepcrl.report import content as module
from deepcrl.report.content import content
from deepcrl.report.pictures import attachments
from deepcrl.report.read import read_runs


def contents(*paths: Path, **options: bool) -> dict:
    found = content(read_runs(paths), "Title", paths[0], **options)
    return json.loads(json.dumps(found, allow_nan=False))  # what the page will see


@pytest.fixture
def sweep(write, tmp_path: Path) -> Path:
    for depth in (4, 16):
        for seed in (0, 1, 2):
            write(tmp_path / f"{depth}_{seed}", [0, 100 + seed, depth * 40 + seed], depth=depth, seed=seed)
    return tmp_path


def test_groups_are_told_apart_by_what_differs(sweep: Path) -> None:
    (task,) = contents(sweep)["tasks"]
    assert task["keys"] == [["encoder.depth", "depth"]]
    assert [(group["label"], group["values"]) for group in task["groups"]] == [("depth=4", [4]), ("depth=16", [16])]
    assert [run["seed"] for run in task["groups"][0]["runs"]] == [0, 1, 2]


def test_final_scores_are_means_of_the_last_evaluations(sweep: Path) -> None:
    (task,) = contents(sweep)["tasks"]
    shallow, deep = task["groups"]
    assert task["num_final"] == [2]
    assert shallow["scores"] == [130, 131, 132]
    value, low, high = deep["final"]["eval/time_at_goal"]
    assert value == 371
    assert 370 <= low <= value <= high <= 372


def test_pairs_say_which_configurations_differ(sweep: Path) -> None:
    found = contents(sweep)
    ((better, worse, (value, low, high), probability, clear),) = found["tasks"][0]["pairs"]
    assert (better, worse, value, probability, clear) == (1, 0, 240, 1, True)
    assert 238 <= low <= value <= high <= 242
    assert any("has 3 runs; to tell configurations apart takes at least 5 seeds" in note for note in found["notes"])


def test_many_configurations_are_compared_with_the_best(write, tmp_path: Path) -> None:
    for depth in range(1, 9):
        write(tmp_path / f"{depth}", [0, 10 * depth], depth=4 * depth)
    (task,) = contents(tmp_path)["tasks"]
    assert [(a, b) for a, b, *_ in task["pairs"]] == [(7, b) for b in (6, 5, 4, 3, 2, 1, 0)]
    assert all(low is None and not clear for _, _, (_, low, _), _, clear in task["pairs"])


def test_curves_and_bands_hold_every_evaluation(sweep: Path) -> None:
    (task,) = contents(sweep)["tasks"]
    group = task["groups"][0]
    env_steps, _, _, value = group["runs"][1]["curves"]["eval/time_at_goal"]
    assert (env_steps, value) == ([0, 50_000, 100_000], [0, 101, 161])
    x, middle, _, _ = group["bands"]["eval/time_at_goal"][0]
    assert (x, middle) == ([0, 50_000, 100_000], [0, 101, 161])


def test_parameters_grow_with_depth(sweep: Path) -> None:
    (task,) = contents(sweep)["tasks"]
    shallow, deep = (group["parameters"] for group in task["groups"])
    per_layer = 256 * 256 + 3 * 256
    assert deep - shallow == pytest.approx(3 * 12 * per_layer, rel=1e-4)  # five significant digits


def test_parameters_of_a_run_that_cannot_be_built_are_missing(write, tmp_path: Path) -> None:
    path = write(tmp_path / "run", [0, 1])
    config = path / "config.yaml"
    config.write_text(config.read_text().replace("residual_mlp", "somebody_elses"))
    assert contents(path)["tasks"][0]["groups"][0]["parameters"] is None


def test_what_a_score_cost(sweep: Path) -> None:
    (task,) = contents(sweep)["tasks"]
    shallow, deep = task["groups"]
    assert deep["update"] > 3 * shallow["update"] > 0
    assert deep["memory"] > shallow["memory"] > 16 * shallow["parameters"]
    assert task["thresholds"] == [100, 250]
    env_steps, grad_steps, wall_seconds, flops = deep["reaching"][1]
    assert (env_steps, grad_steps, wall_seconds) == (100_000, 80, 60)
    per_step = (deep["flops"] - deep["update"] * 116) / 145_000
    assert flops == pytest.approx(80 * deep["update"] + 100_000 * per_step, rel=1e-3)
    assert shallow["reaching"][1] == [None] * 4


def test_checkpoints_are_looked_into_unless_told_not_to(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for depth in (4, 8, 16):
        (write(tmp_path / str(depth), [0, 1], depth=depth) / "checkpoints" / "step_0_0").mkdir()
    monkeypatch.setattr(module, "MAX_MAPPED", 2)
    monkeypatch.setattr(attachments, "find", lambda path: SimpleNamespace(config={}))
    monkeypatch.setattr(attachments, "maps", lambda checkpoint: {"trace": {"at_goal": 3, "points": [[1 / 3]]}})
    shown = contents(tmp_path)
    drawn = [group["maps"] for group in shown["tasks"][0]["groups"]]
    assert drawn == [{"trace": {"at_goal": 3, "points": [[0.33333]]}}] * 2 + [{}]
    assert "1 more configurations have checkpoints; value maps are drawn of 2" in shown["notes"]
    left_out = contents(tmp_path, with_maps=False)
    assert [group["maps"] for group in left_out["tasks"][0]["groups"]] == [{}] * 3
    assert not any("value maps" in note for note in left_out["notes"])


def test_a_checkpoint_that_cannot_be_read_is_noted(write, tmp_path: Path) -> None:
    path = write(tmp_path / "run", [0, 1])
    (path / "checkpoints" / "step_0000000000000_00000000000").mkdir()
    shown = contents(path)
    assert shown["tasks"][0]["groups"][0]["maps"] == {}
    (note,) = shown["notes"]
    assert note.startswith(f"{path}: no value map, Checkpoint ")
    assert note.endswith("has no readable meta.json")


def test_what_makes_numbers_worth_less_is_said(write, tmp_path: Path) -> None:
    write(tmp_path / "a", [0, 1], seed=0)
    write(tmp_path / "b", [0, 1, 2, 3], seed=0)
    notes = contents(tmp_path)["notes"]
    assert any("seed 0 occurs more than once" in note for note in notes)
    assert any("runs end at" in note for note in notes)


def test_tasks_that_share_a_configuration_are_scored_together(write, tmp_path: Path) -> None:
    for env in ("point_u_maze", "point_big_maze"):
        for seed in (0, 1):
            write(tmp_path / f"{env}_{seed}", [0, 500 if env == "point_u_maze" else 100], env=env, seed=seed)
    (row,) = contents(tmp_path)["across"]
    assert row["final"][0] == pytest.approx(0.3)
    assert sorted(row["scores"]) == [0.1, 0.1, 0.5, 0.5]


def test_over_all_tasks_the_best_configuration_comes_first(write, tmp_path: Path) -> None:
    for env in ("point_u_maze", "point_big_maze"):
        for loss, score in (("dcl", 10), ("infonce", 500)):
            write(tmp_path / f"{env}_{loss}", [0, score], env=env, loss=loss)
    assert [row["label"] for row in contents(tmp_path)["across"]] == ["loss=infonce", "loss=dcl"]


def test_films_are_embedded_until_the_page_would_be_heavy(write, tmp_path: Path, monkeypatch) -> None:
    run = write(tmp_path / "run", [0, 1])
    (run / "videos" / "film.gif").write_bytes(b"GIF89a")
    assert contents(tmp_path)["tasks"][0]["groups"][0]["film"]["data"].startswith("data:image/gif;base64,R0lGODlh")
    monkeypatch.setattr(attachments, "MAX_FILM_BYTES", 5)
    film = contents(tmp_path)["tasks"][0]["groups"][0]["film"]
    assert film["link"] == "run/videos/film.gif"


def test_block_norms_come_in_the_order_of_the_blocks(write, tmp_path: Path) -> None:
    blocks = {f"blocks/actor/stream_rms/{i:04}": float(i) for i in range(3)}
    assert contents(write(tmp_path / "run", [0, 1], more=blocks))["tasks"][0]["groups"][0]["blocks"] == {
        "actor stream_rms": [0, 1, 2]
    }


def test_what_is_not_finite_is_null(write, tmp_path: Path) -> None:
    path = write(tmp_path / "run", [0, 1], more={"critic/loss": math.inf})
    (run,) = contents(path)["tasks"][0]["groups"][0]["runs"]
    assert "critic/loss" not in run["curves"]


def test_runs_can_be_compared_by_another_metric(write, tmp_path: Path) -> None:
    for depth in (4, 8):
        for seed in (0, 1):
            write(tmp_path / f"{depth}_{seed}", [0, 0, 0], depth=depth, seed=seed)
    found = read_runs([tmp_path], "critic/loss")
    page = content(found, "Runs", tmp_path)
    (task,) = page["tasks"]
    assert page["score"] == ["critic/loss", "critic loss"]
    assert next(iter(task["groups"][0]["final"])) == "critic/loss"
    assert task["groups"][0]["scores"] == pytest.approx(2 * [sum(5 / i for i in (26, 27, 28, 29, 30)) / 5], rel=1e-4)
    assert task["groups"][0]["final"]["eval/time_at_goal"][0] == 0
    with pytest.raises(ValueError, match=r"Unknown metric 'critic/los'. Did you mean 'critic/loss'\? Known: "):
        read_runs([tmp_path], "critic/los")
