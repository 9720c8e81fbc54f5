"""Fresh, resumed, continued in a sweep: what a run is started from, and what may change when it is resumed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepcrl.run.checkpoint import CheckpointError, find, list_checkpoints
from deepcrl.run.directory import RunDir, prepare
from deepcrl.run.metrics import JsonlLogger
from deepcrl.run.start import FREE_ON_RESUME, Start, check_resume, continued, final_score, fresh, resumed
from deepcrl.training.validate import validated


@pytest.fixture
def run(tiny, train, tmp_path: Path) -> Path:
    """A run that is complete, with two checkpoints."""
    train(tiny(run_dir=str(tmp_path / "run"), total_env_steps=200))
    return tmp_path / "run"


def test_fresh(tiny, tmp_path: Path) -> None:
    config = tiny(run_dir=str(tmp_path / "run"))
    assert fresh(config) == Start(config, None, RunDir(tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []
    prepare(tmp_path / "run", config.to_dict(), resume=False)
    with pytest.raises(ValueError, match="run already holds a run; go on with it by resume="):
        fresh(config)


def test_resumed_goes_on_with_the_saved_settings_and_those_that_are_free(run: Path, tiny) -> None:
    start = resumed(run, {"total_env_steps": 300, "loss": {"name": "infonce"}, "encoder.depth": 4}, {})
    assert start == Start(tiny(run_dir=str(run), total_env_steps=300), find(run), RunDir(run))
    older = list_checkpoints(run / "checkpoints")[0]
    assert resumed(older.path, {}, {}, str(run)).checkpoint == older


def test_resumed_keeps_of_a_logger_what_is_not_named(run: Path) -> None:
    wandb = {"name": "wandb", "project": "mine", "mode": "disabled", "entity": "", "tags": []}
    content = find(run).content  # kept with the object, so that the saved config can be set here
    checkpoint = find(run)
    checkpoint.__dict__["content"] = content | {"config": content["config"] | {"logger": wandb}}
    assert checkpoint.config["logger"] == wandb

    def logger(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setattr("deepcrl.run.start.find", lambda where: checkpoint)
        return resumed(run, asked, {}).config.logger

    with pytest.MonkeyPatch.context() as patch:
        assert logger({}, patch) == wandb
        default = wandb | {"project": "deepcrl", "tags": ["x"]}
        assert logger({"logger": default, "logger.tags": ["x"]}, patch) == wandb | {"tags": ["x"]}
        assert logger({"logger": {"name": "none"}}, patch) == {"name": "none"}


def test_resumed_refuses(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a run goes on in its own directory, .*run; leave out run_dir=elsewhere"):
        resumed(run, {}, {}, "elsewhere")
    with pytest.raises(ValueError, match="resume: seed=5 contradicts the saved run"):
        resumed(run, {"seed": 5}, {})
    with pytest.raises(ValueError, match="resume: seed=5 contradicts the saved run"):
        resumed(run, {}, {"seed": 5})
    assert resumed(run, {"seed": 0}, {"seed": 5}).config.seed == 0  # named by itself, it is not the experiment's
    assert resumed(run, {}, {"total_env_steps": 1000}).config.total_env_steps == 200  # only what is named by itself
    with pytest.raises(CheckpointError, match="none does not exist"):
        resumed(tmp_path / "none", {}, {})


def test_resumed_refuses_a_dump_and_cuts_nothing(run: Path) -> None:
    older, rows = list_checkpoints(run / "checkpoints")[0], (run / "metrics.jsonl").read_bytes()
    dump = shutil.copytree(older.path, run / "nan_dump" / older.path.name)
    with pytest.raises(CheckpointError, match=f"nan_dump/.* is no checkpoint to go on from, .*resume={run}$"):
        resumed(dump, {"total_env_steps": 400}, {})
    assert find(dump).config["seed"] == 0
    assert (run / "metrics.jsonl").read_bytes() == rows


def test_continued_from_nothing(tiny, tmp_path: Path) -> None:
    config = tiny(run_dir=str(tmp_path / "run"))
    assert continued(config) == Start(config, None, RunDir(tmp_path / "run"))


def test_continued_from_the_newest_checkpoint(run: Path, tiny) -> None:
    config = tiny(run_dir=str(run), total_env_steps=300)
    assert continued(config) == Start(config, find(run), RunDir(run))
    with pytest.raises(ValueError, match="resume: seed=1 contradicts the saved run, which has seed=0"):
        continued(tiny(run_dir=str(run), seed=1))
    learners = {"deep": {"encoder": {"depth": 8}}}
    with pytest.raises(ValueError, match=r"resume: learners\.deep\.encoder\.depth=8 contradicts"):
        continued(tiny(run_dir=str(run), learners=learners))


def test_continued_knows_a_complete_run(run: Path, tiny) -> None:
    config = tiny(run_dir=str(run), total_env_steps=200)
    assert continued(config).score == final_score(RunDir(run), config) is not None


def test_continued_starts_anew_what_stopped_before_its_first_checkpoint(tiny, tmp_path: Path) -> None:
    config = tiny(run_dir=str(tmp_path / "run"))
    directory = prepare(tmp_path / "run", config.to_dict(), resume=False)
    assert continued(config) == Start(config, None, directory, anew=True)
    assert directory.holds_run()  # until it is locked


def test_resumed_starts_a_run_without_a_checkpoint_anew_with_its_own_settings(tiny, tmp_path: Path) -> None:
    config = tiny(run_dir=str(tmp_path / "run"), seed=7)
    directory = prepare(tmp_path / "run", config.to_dict(), resume=False)
    assert resumed(directory.path, {"total_env_steps": 200}, {}) == Start(
        tiny(run_dir=str(tmp_path / "run"), seed=7, total_env_steps=200), None, directory, anew=True
    )
    with pytest.raises(ValueError, match="resume: seed=5 contradicts the saved run"):
        resumed(directory.path, {"seed": 5}, {})


def test_a_start_knows_that_another_process_wrote_meanwhile(run: Path, tiny) -> None:
    start = resumed(run, {}, {})
    start.check_unchanged()
    newest = find(run).path
    newest.rename(newest.with_name("step_0000000000999_00000000999"))
    with pytest.raises(ValueError, match="run was written by another deepcrl run meanwhile; ask again"):
        start.check_unchanged()


def test_continued_leaves_alone_what_cannot_be_read(tiny, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: [")
    with pytest.raises(ValueError, match=r"config\.yaml cannot be read; remove "):
        continued(tiny(run_dir=str(tmp_path)))
    assert (tmp_path / "config.yaml").read_text() == "seed: ["


def test_the_final_score_is_that_of_a_run_at_its_end(run: Path) -> None:
    directory, config = RunDir(run), validated(yaml.safe_load((run / "config.yaml").read_text()))
    assert final_score(directory, config) == 0.0
    assert final_score(directory, validated(config.to_dict() | {"total_env_steps": 300})) is None
    newest = find(run).path
    newest.rename(newest.with_name(f"aside_{newest.name}"))  # stopped between the last row and the last checkpoint
    assert final_score(directory, config) is None
    newest.with_name(f"aside_{newest.name}").rename(newest)
    logger = JsonlLogger(run / "metrics.jsonl")
    logger.log({"env_steps": 200, "grad_steps": 24, "wall_seconds": 1.0})  # a last row without an evaluation
    logger.close()
    assert final_score(directory, config) is None
    (run / "metrics.jsonl").unlink()
    assert final_score(directory, config) is None


def test_resume_compares_a_group_by_name(tiny) -> None:
    saved = tiny().to_dict()
    saved["loss"]["logsumexp_coef"] = 0.3
    check_resume(saved, {"loss": {"name": "infonce", "logsumexp_coef": 0.1}})
    message = "resume: loss=dot contradicts the saved run, which has loss=infonce; .*free to change: total_env_steps"
    with pytest.raises(ValueError, match=message):
        check_resume(saved, {"loss": {"name": "dot"}})


@pytest.mark.parametrize(
    ("key", "value", "before"),
    [("seed", 5, "0"), ("encoder.depth", 8, "4"), ("eval_env", {"name": "ant"}, "None"), ("agent.actor_lr", 1.0, "")],
)
def test_resume_refuses_a_contradiction(tiny, key: str, value: Any, before: str) -> None:
    with pytest.raises(ValueError, match=f"the saved run, which has {re.escape(key)}={before}"):
        check_resume(tiny().to_dict(), {key: value})


def test_resume_lets_the_free_settings_change(tiny) -> None:
    check_resume(tiny().to_dict(), dict.fromkeys(FREE_ON_RESUME, "anything") | {"logger.mode": "online"})
    assert {"total_env_steps", "eval_every", "logger", "video"} <= set(FREE_ON_RESUME)
    assert not {"seed", "loss", "encoder", "batch_size", "num_envs"} & set(FREE_ON_RESUME)
