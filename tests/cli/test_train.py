"""`deepcrl train` from the first argument to the last file; help, resolved config, completion."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
import yaml

from deepcrl.core.components import AGENTS, LOSSES
from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows


def test_a_run_leaves_its_directory(deepcrl, tiny, tmp_path: Path) -> None:
    result = deepcrl("train", *tiny, "run_dir=runs/one", "seed=3", "loss.logsumexp_coef=0.2")
    assert (result.code, result.err) == (0, "")
    config = yaml.safe_load((tmp_path / "runs/one/config.yaml").read_text())
    assert (config["seed"], config["loss"]) == (3, {"name": "infonce", "logsumexp_coef": 0.2})
    rows, torn = read_rows(tmp_path / "runs/one/metrics.jsonl")
    assert (len(rows), torn) == (21, 0)
    assert sorted(os.listdir(tmp_path)) == ["runs"]  # Hydra leaves nothing of its own


def test_a_run_without_a_name_gets_one(deepcrl, tiny, tmp_path: Path) -> None:
    assert deepcrl("train", *tiny, "seed=4").code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.endswith("_point_u_maze_seed4")


def test_encoders_are_set_together_or_apart(deepcrl, tiny, tmp_path: Path) -> None:
    own = ("actor_encoder=residual_mlp", "actor_encoder.depth=8", "actor_encoder.width=32")
    assert deepcrl("train", *tiny, *own, "run_dir=run").code == 0
    networks = checkpoint.find(tmp_path / "run").state["agent"]["networks"]
    shapes = {name: tuple(state["weight"].shape) for name, state in networks.items()}
    assert shapes == {"actor": (8, 32, 32), "sa_encoder": (4, 16, 16), "goal_encoder": (4, 16, 16)}


def test_options_for_very_deep_networks(deepcrl, tiny, tmp_path: Path) -> None:
    options = ["lr_warmup_steps=4", "gradient_clip=0.5", "log_blocks=true", "encoder.zero_init_residual=true"]
    trained = deepcrl("train", *tiny, *options, "encoder.checkpoint_blocks=sqrt", "run_dir=run")
    assert trained.code == 0, trained.err
    rows, _ = read_rows(tmp_path / "run/metrics.jsonl")
    assert any("blocks/actor/stream_rms/0000" in row for row in rows)
    assert (tmp_path / "run/plots/blocks.png").exists()
    assert "activations of a gradient step" in trained.out  # the table before training predicts them


def test_a_sweep_names_its_runs_by_what_varies(deepcrl, tiny, tmp_path: Path) -> None:
    result = deepcrl("train", *tiny, "-m", "loss=infonce,backward_infonce", "seed=0,1", "hydra.sweep.dir=sweep")
    assert (result.code, result.err) == (0, "")
    runs = sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    assert runs == [f"loss={loss},seed={seed}" for loss in ("backward_infonce", "infonce") for seed in (0, 1)]
    for run in runs:
        config = yaml.safe_load((tmp_path / "sweep" / run / "config.yaml").read_text())
        assert run == f"loss={config['loss']['name']},seed={config['seed']}"
        assert (tmp_path / "sweep" / run / "plots" / "curves.png").exists()


def test_a_sweep_over_every_agent(deepcrl, tiny, tmp_path: Path) -> None:
    common = [override for override in tiny if not override.startswith("agent.")]
    two_updates = ("prefill_steps=5", "grad_steps_per_unroll=2", "total_env_steps=40", "num_eval_envs=1")
    result = deepcrl("train", *common, *two_updates, "-m", "agent=glob(*)", "hydra.sweep.dir=sweep")
    assert (result.code, result.err) == (0, "")
    runs = sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    assert runs == [f"agent={name}" for name in AGENTS]
    for run in runs:
        assert read_rows(tmp_path / "sweep" / run / "metrics.jsonl")[0][-1]["grad_steps"] == 2


def test_help_says_what_to_do(deepcrl) -> None:
    result = deepcrl("train", "--help")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("deepcrl train: ")
    assert lines[2].startswith("usage: deepcrl train [SETTING=VALUE ...]")
    for text in (
        *("experiment=first_light", "deepcrl list losses", "resume=RUN_DIR", "-m SETTING=VALUE,VALUE"),
        *("loss: backward_flatnce, backward_infonce, ", "\n  logsumexp_coef: 0.1\n", "\nnum_envs: 512\n"),
    ):
        assert text in result.out
    assert max(map(len, lines[: lines.index("== Groups: choose by name (group=name) ==")])) <= 120


def test_cfg_job_shows_what_the_arguments_come_to(deepcrl, tiny, tmp_path: Path) -> None:
    result = deepcrl("train", *tiny, "loss=symmetric_infonce", "--cfg", "job")
    config = yaml.safe_load(result.out)
    assert (config["loss"]["name"], config["encoder"]["width"], config["seed"]) == ("symmetric_infonce", 16, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("deepcrl train loss=", " ".join(f"loss={name}" for name in LOSSES)),
        ("deepcrl train seed=3 energy=c", "energy=cosine"),
        ("deepcrl train encoder.de", "encoder.depth="),
        ("deepcrl train num_e", "num_envs= num_eval_envs="),
        ("deepcrl train experiment=first", "experiment=first_light"),
        ("deepcrl tr", "train"),
        ("deepcrl ", "train eval play report export collect list bench doctor"),
        ("deepcrl list ", ""),
    ],
)
def test_completion(deepcrl, monkeypatch: pytest.MonkeyPatch, line: str, offered: str) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    result = deepcrl("-sc", "query=bash")
    assert (result.code, result.out.strip(), result.err) == (0, offered, "")


@pytest.mark.parametrize("verb", [(), ("train",)])
def test_completion_is_installed_for_deepcrl(deepcrl, verb: tuple[str, ...]) -> None:
    result = deepcrl(*verb, "-sc", "install=bash")
    assert result.out.rstrip().endswith("-F hydra_bash_completion deepcrl")


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(deepcrl, tiny, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert deepcrl("train", *tiny, "run_dir=run", "total_env_steps=100").code == 0
    before = checkpoint.find(tmp_path / "run").path
    # More than any other file of the run, less than a checkpoint
    resource.setrlimit(resource.RLIMIT_FSIZE, ((before / "state.pt").stat().st_size // 2, hard))
    try:
        error = deepcrl("train", "resume=run", "total_env_steps=200").error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.startswith("Could not save checkpoint run/checkpoints/step_0000000000200_00000000024: ")
    assert error.endswith(f"Go on from the last whole one with resume={before.relative_to(tmp_path)}")
    assert sorted(os.listdir(tmp_path / "run" / "checkpoints")) == ["step_0000000000000_00000000000", before.name]
    assert deepcrl("train", "resume=run", "total_env_steps=200").code == 0
    assert len(read_rows(tmp_path / "run" / "metrics.jsonl")[0]) == 11
