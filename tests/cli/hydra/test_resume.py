"""`deepcrl train resume=...`: what goes on, what is refused, and that nothing saved is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"folder": tmp_path_factory.mktemp("finished")}


@pytest.fixture
def run(deepcrl, tiny, finished: dict[str, Path], tmp_path: Path) -> Path:
    """A finished run, trained once and copied for each test; it is not all defaults."""
    kept = finished["folder"] / "run"
    if not kept.exists():
        assert deepcrl("train", *tiny, "loss.logsumexp_coef=0.2", "run_dir=run").code == 0
        shutil.copytree(tmp_path / "run", kept)
        return tmp_path / "run"
    shutil.copytree(kept, tmp_path / "run")
    return tmp_path / "run"


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_finished_says_so(deepcrl, run: Path) -> None:
    before = read_rows(run / "metrics.jsonl")
    result = deepcrl("train", "resume=run")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("Already finished: run (a larger total_env_steps would go on)\n")
    assert read_rows(run / "metrics.jsonl") == before


def test_goes_on_with_its_own_settings(deepcrl, run: Path) -> None:
    assert deepcrl("train", "resume=run", "total_env_steps=500", "eval_every=20", "keep_checkpoints=3").code == 0
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["total_env_steps"], config["eval_every"], config["keep_checkpoints"]) == (500, 20, 3)
    assert (config["num_envs"], config["loss"]["logsumexp_coef"], config["env"]["name"]) == (4, 0.2, "point_u_maze")
    rows, _ = read_rows(run / "metrics.jsonl")
    assert [row["env_steps"] for row in rows] == list(range(0, 501, 20))
    assert len(json.loads((run / "environment.json").read_text())["starts"]) == 2


@pytest.mark.parametrize(
    "same", ["loss=infonce", "encoder.depth=4", "loss.logsumexp_coef=0.2", "run_dir=run", "env=point_u_maze", "seed=0"]
)
def test_settings_as_they_were_are_no_contradiction(deepcrl, run: Path, same: str) -> None:
    result = deepcrl("train", "resume=run", same)
    assert (result.code, result.err) == (0, "")


def test_from_another_folder_and_after_a_move(deepcrl, run: Path, tmp_path: Path) -> None:
    run.rename(tmp_path / "moved")
    assert deepcrl("train", f"resume={tmp_path}/moved", "total_env_steps=420").code == 0
    assert len(read_rows(tmp_path / "moved" / "metrics.jsonl")[0]) == 22
    assert not run.exists()


def test_from_one_of_its_checkpoints(deepcrl, run: Path) -> None:
    older = checkpoint.list_checkpoints(run / "checkpoints")[0].path
    assert deepcrl("train", f"resume={older}", "total_env_steps=320").code == 0
    assert checkpoint.find(run).path.name == "step_0000000000320_00000000048"


def test_a_logger_keeps_what_is_not_named(deepcrl, tiny, tmp_path: Path) -> None:
    wandb = ("logger=wandb", "logger.mode=disabled", "logger.project=mine")
    assert deepcrl("train", *tiny, *wandb, "run_dir=run").code == 0
    assert deepcrl("train", "resume=run", "logger.tags=[x]", "total_env_steps=420").code == 0
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["logger"] == {"name": "wandb", "project": "mine", "mode": "disabled", "entity": "", "tags": ["x"]}
    assert deepcrl("train", "resume=run", "logger=none", "total_env_steps=440").code == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["logger"] == {"name": "none"}


FREE = "start a new run to change it (free to change: total_env_steps, total_grad_steps, eval_every, "


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("seed=5", f"resume: seed=5 contradicts the saved run, which has seed=0; {FREE}"),
        ("loss=dot", "Unknown loss 'dot'. Did you mean 'dpo'? Known: "),
        ("loss=backward_infonce", "resume: loss=backward_infonce contradicts the saved run, which has loss=infonce; "),
        ("loss.logsumexp_coef=0.1", "resume: loss.logsumexp_coef=0.1 contradicts the saved run, which has "),
        ("encoder.depth=8", "resume: encoder.depth=8 contradicts the saved run, which has encoder.depth=4; "),
        ("actor_encoder=residual_mlp", "resume: actor_encoder=residual_mlp contradicts the saved run, which has "),
        ("num_envs=8", "resume: num_envs=8 contradicts the saved run, which has num_envs=4; "),
        ("run_dir=other", "resume: a run goes on in its own directory, run; leave out run_dir"),
        (
            "experiment=first_light",
            "resume: agent.actor_lr=0.0006 contradicts the saved run, which has agent.actor_lr=0.0003; ",
        ),
        ("experiment=ant_laptop", "resume: env.goal_distance_min=0.5 contradicts the saved run, which has "),
        ("total_env_steps=0", "total_env_steps must be at least 1, got 0"),
        ("total_env_steps=500 logger=wandb logger.mode=x", "Unknown logger.mode of wandb 'x'. Known: "),
    ],
)
def test_a_contradiction_changes_nothing(deepcrl, run: Path, asked: str, message: str) -> None:
    before = content(run)
    error = deepcrl("train", "resume=run", *asked.split()).error
    assert error.startswith(message), error
    assert message != "resume: " or " contradicts the saved run, which has " in error
    assert content(run) == before


def test_the_experiment_that_it_was_started_with(deepcrl, tiny, tmp_path: Path) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /loss: backward_infonce\nseed: 3\ntotal_env_steps: 400\n"
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(text)
    experiment = ("--config-dir=own", "experiment=mine")
    assert deepcrl("train", *experiment, *tiny, "seed=4", "total_env_steps=420", "run_dir=run").code == 0
    error = deepcrl("train", *experiment, "resume=run").error
    assert error.startswith("resume: seed=3 contradicts the saved run, which has seed=4; ")
    result = deepcrl("train", *experiment, "resume=run", "seed=4")
    assert result.out.endswith("Already finished: run (a larger total_env_steps would go on)\n"), result.err
    # What an experiment says of the free settings does not count: 420 were asked for when the run started
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["total_env_steps"] == 420


def truncate(run: Path) -> None:
    os.truncate(checkpoint.find(run).path / "state.pt", 5000)


def flip_a_bit(run: Path) -> None:
    path = checkpoint.find(run).path / "state.pt"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 16
    path.write_bytes(damaged)


def drop_meta(run: Path) -> None:
    (checkpoint.find(run).path / "meta.json").unlink()


def spoil_meta(run: Path) -> None:
    (checkpoint.find(run).path / "meta.json").write_text('{"format_version"')


def age(run: Path) -> None:
    path = checkpoint.find(run).path / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 0}))


def drop_all(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def drop_run(run: Path) -> None:
    shutil.rmtree(run)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "is truncated or corrupted (SHA-256 differs); try resume="),
        (flip_a_bit, "is truncated or corrupted (SHA-256 differs); try resume="),
        (drop_meta, "has no readable meta.json; try resume="),
        (spoil_meta, "has no readable meta.json; try resume="),
        (age, "has format version 0; this deepcrl reads version 1"),
        (drop_run, "There is no checkpoint to read: run does not exist"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "eval", "play"])
def test_a_damaged_checkpoint(deepcrl, run: Path, verb: str, damage: Callable[[Path], None], message: str) -> None:
    damage(run)
    before = content(run)
    error = deepcrl(*(("train", "resume=run", "total_env_steps=500") if verb == "train" else (verb, "run"))).error
    assert message in error
    assert content(run) == before


def test_without_checkpoints_a_run_starts_anew_and_there_is_no_policy_to_look_at(deepcrl, run: Path) -> None:
    drop_all(run)
    for verb in ("eval", "play"):
        assert "There is no checkpoint to read: run holds none" in deepcrl(verb, "run").error
    assert deepcrl("train", "resume=run").code == 0
    assert checkpoint.find(run).content


def test_the_older_checkpoint_that_is_offered_works(deepcrl, run: Path) -> None:
    flip_a_bit(run)
    offered = deepcrl("train", "resume=run").error.partition("try resume=")[2]
    assert deepcrl("train", f"resume={offered}").code == 0
    assert checkpoint.find(run).content
    assert len(read_rows(run / "metrics.jsonl")[0]) == 21


def test_without_any_config_file_the_checkpoint_is_enough(deepcrl, run: Path) -> None:
    (run / "config.yaml").unlink()
    assert deepcrl("train", "resume=run", "total_env_steps=420").code == 0
