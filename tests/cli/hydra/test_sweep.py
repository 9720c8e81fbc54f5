"""Sweeps: chosen by name, in any launcher, with failures that cost only themselves, and a command that goes on."""

from __future__ import annotations

import fnmatch
import re
from itertools import product
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf

from deepcrl.cli.hydra import sweep
from deepcrl.cli.hydra.compose import CONFIGS_DIR, compose_values
from deepcrl.cli.hydra.sweep import Summary
from deepcrl.core.components import LOSSES
from deepcrl.core.settings import lookup
from deepcrl.run.directory import prepare
from deepcrl.run.lock import lock
from deepcrl.run.metrics import read_rows
from deepcrl.training.build import env_spec
from deepcrl.training.validate import validated

SWEEPS = sorted(path.stem for path in (CONFIGS_DIR / "sweep").glob("*.yaml"))
TWO_UPDATES = ("prefill_steps=5", "grad_steps_per_unroll=2", "total_env_steps=40", "num_eval_envs=1")
DEPTH_6 = "encoder.depth is 6; it must be a positive multiple of block_layers=4, such as 4 or 8"


def names(sweep: Path) -> list[str]:
    return sorted(path.name for path in sweep.iterdir() if path.is_dir() and not path.name.startswith("."))


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_globs_and_lists_make_every_pair(deepcrl, tiny, tmp_path: Path) -> None:
    """Some of them here; `tests/training/test_combinations.py` trains every loss with every energy."""
    losses, energies = fnmatch.filter(LOSSES, "*nce"), ("norm", "cosine")
    assert len(losses) > 3
    chosen = ("loss=glob(*nce)", f"energy={','.join(energies)}", "hydra.sweep.dir=sweep")
    result = deepcrl("train", *tiny, *TWO_UPDATES, "-m", *chosen)
    assert (result.code, result.err) == (0, "")
    assert names(tmp_path / "sweep") == sorted(f"energy={e},loss={loss}" for loss, e in product(losses, energies))
    for run in (tmp_path / "sweep").glob("energy=*"):
        assert read_rows(run / "metrics.jsonl")[0][-1]["grad_steps"] == 2
        saved = yaml.safe_load((run / "config.yaml").read_text())
        assert run.name == f"energy={saved['energy']['name']},loss={saved['loss']['name']}"


def test_a_sweep_by_name_gives_way_to_the_command_line(deepcrl, tiny, tmp_path: Path) -> None:
    chosen = ("sweep=depth", "encoder.depth=4,8", "seed=5", "hydra.sweep.dir=sweep")
    result = deepcrl("train", *tiny, *TWO_UPDATES, "-m", *chosen)
    assert (result.code, result.err) == (0, "")
    assert names(tmp_path / "sweep") == ["encoder.depth=4", "encoder.depth=8"]
    saved = yaml.safe_load((tmp_path / "sweep" / "encoder.depth=8" / "config.yaml").read_text())
    assert (saved["encoder"]["depth"], saved["seed"]) == (8, 5)


def test_a_run_without_its_pictures_is_not_complete_and_gets_them(deepcrl, tiny, tmp_path: Path) -> None:
    command = ("train", *tiny, *TWO_UPDATES, "-m", "seed=0,1", "hydra.sweep.dir=sweep")
    assert deepcrl(*command).code == 0
    run = tmp_path / "sweep" / "seed=0"
    (run / "plots" / "curves.png").unlink()  # as where the disk was full, also for error.txt
    assert sweep.standing(run) == ("undrawn", "time at goal 0.0, but its curves are not drawn")
    assert deepcrl(*command).code == 0
    assert sweep.standing(run)[0] == "complete"


def offered(override: Override) -> list[str]:
    """The values that a sweep gives a setting; the ends of an interval."""
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    value = override.value()
    assert isinstance(value, IntervalSweep)
    return [str(value.start), str(value.end)]


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_value_of_a_sweep_is_one_that_a_run_can_have(sweep: str) -> None:
    params = yaml.safe_load((CONFIGS_DIR / "sweep" / f"{sweep}.yaml").read_text())["hydra"]["sweeper"]["params"]
    named = [f"{key}={value}" for key, value in params.items() if not str(value).startswith("glob")]
    columns = [(o.key_or_group, offered(o)) for o in OverridesParser.create().parse_overrides(named)]
    assert all(len(set(values)) > 1 for _, values in columns)
    for i in range(max(len(values) for _, values in columns)):
        row = {key: values[i % len(values)] for key, values in columns}
        config = validated(compose_values([f"sweep={sweep}", *(f"{k}={v}" for k, v in row.items())]))
        assert env_spec(config)
        for key, value in row.items():
            if key == "experiment":  # which is many settings, and none of the run's
                continue
            set_to = lookup(config.to_dict(), key)
            assert (set_to["name"] if isinstance(set_to, dict) else set_to) == yaml.safe_load(value), key


def test_actor_and_critic_are_as_wide_as_the_encoder() -> None:
    values = compose_values(["sweep=actor_critic_depth", "encoder.width=64", "actor_encoder.depth=8"])
    assert (values["actor_encoder"]["width"], values["critic_encoder"]["width"]) == (64, 64)
    assert (values["actor_encoder"]["depth"], values["critic_encoder"]["depth"]) == (8, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("sweep=depth", "sweep=depth names several runs: add -m to run each of them"),
        ("-m sweep=depth,width", "sweep=depth,width: one sweep at a time; its settings can be swept beside it"),
        ("-m sweep=dept", "Unknown sweep 'dept'. Did you mean 'depth'? Known: actor_critic_depth, "),
        (
            "-m loss=infonce,siglip loss.initial_scale=1,2",
            "Unknown setting of loss=infonce: 'initial_scale'. Known: logsumexp_coef "
            "(initial_scale belongs to loss=siglip)",
        ),
        (
            "-m encoder=residual_mlp,mlp encoder.block_layers=2,4",
            "Unknown setting of encoder=mlp: 'block_layers'. Known: activation, depth, head_scale, init, norm, "
            "norm_position, width (block_layers belongs to encoder=",
        ),
        ("-m agent.actor_lr=interval(1e-4,1e-3)", "BasicSweeper does not support sweep type : INTERVAL"),
    ],
)
def test_mistakes_stop_a_sweep_before_its_first_run(
    deepcrl, tiny, tmp_path: Path, arguments: str, message: str
) -> None:
    error = deepcrl("train", *tiny, *arguments.split()).error
    assert error.startswith(message), error
    assert not list(tmp_path.rglob("config.yaml"))


def test_a_sweep_cannot_be_resumed_as_if_it_were_a_run(deepcrl, tiny) -> None:
    assert deepcrl("train", *tiny, *TWO_UPDATES, "-m", "seed=0,1", "hydra.sweep.dir=sweep").code == 0
    error = deepcrl("train", "resume=sweep").error
    assert error == "sweep is a sweep; its command goes on with it if given hydra.sweep.dir=sweep"


LAUNCHERS = [
    ("hydra/launcher=basic",),
    ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"),
]


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=lambda launcher: launcher[0].partition("=")[2])
def test_a_run_that_fails_costs_only_itself(process, tiny, tmp_path: Path, launcher: tuple[str, ...]) -> None:
    chosen = ("-m", "encoder.depth=4,6,8", "hydra.sweep.dir=sweep", *launcher)
    result = process("train", *tiny, *TWO_UPDATES, *chosen)
    again = "the same command, with hydra.sweep.dir=sweep, goes on with them"
    assert result.code == 2
    assert result.err.splitlines()[-1] == f"deepcrl: 1 of 3 runs are not complete; {again}"
    assert "Traceback" not in result.err
    lines = [line.split(maxsplit=2) for line in result.out.splitlines()[-3:]]
    assert [line[:2] for line in lines] == [
        *(["encoder.depth=4", "complete"], ["encoder.depth=6", "failed"], ["encoder.depth=8", "complete"])
    ]
    assert lines[1][2] == DEPTH_6
    assert (tmp_path / "sweep" / "encoder.depth=6" / "error.txt").read_text() == f"{DEPTH_6}\n"


def test_a_bug_leaves_its_traceback(process, tiny, tmp_path: Path) -> None:
    (tmp_path / "bug.py").write_text(
        "from deepcrl.core.components import LOSSES\n\n\n"
        '@LOSSES.register("bug")\ndef bug(logits):\n    """Fails."""\n    return logits.nonsense\n'
    )
    chosen = ("-m", "loss=bug,infonce", "hydra.sweep.dir=sweep")
    result = process("train", *tiny, *TWO_UPDATES, *chosen, DEEPCRL_PLUGINS="bug")
    assert result.code == 2
    line, _, trace = (tmp_path / "sweep" / "loss=bug" / "error.txt").read_text().partition("\n")
    place = f"loss 'bug' in {tmp_path / 'bug.py'}: AttributeError: 'Tensor' object has no attribute 'nonsense'"
    assert line == f"{place} (DEEPCRL_DEBUG=1 shows the whole traceback)"
    assert "return logits.nonsense" in trace
    assert f"deepcrl: loss=bug: {line}\n" in result.err
    assert re.search(r"loss=infonce +complete ", result.out)


def test_a_longer_sweep_goes_on_and_another_one_is_refused(deepcrl, tiny, tmp_path: Path) -> None:
    command = ("train", *tiny, "-m", "seed=0,1", "hydra.sweep.dir=sweep")
    assert deepcrl(*command).code == 0
    assert deepcrl(*command, "total_env_steps=420").code == 0
    for seed in (0, 1):
        rows, _ = read_rows(tmp_path / "sweep" / f"seed={seed}" / "metrics.jsonl")
        assert [row["env_steps"] for row in rows] == list(range(0, 421, 20))
    before = {path: data for path, data in content(tmp_path / "sweep").items() if path.name == "metrics.jsonl"}
    result = deepcrl(*command, "batch_size=8")
    assert result.code == 2
    told = "deepcrl: seed=1: resume: batch_size=8 contradicts the saved run, which has batch_size=16; "
    assert told in result.err
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_run_that_another_process_is_at_is_left_alone(deepcrl, tiny, tmp_path: Path) -> None:
    values = compose_values([*tiny, "seed=0"])
    run = prepare(tmp_path / "sweep" / "seed=0", values, resume=False)
    with lock(run.path):
        result = deepcrl("train", *tiny, "-m", "seed=0,1", "hydra.sweep.dir=sweep")
    assert result.code == 2
    assert "seed=0 is being written by another deepcrl run, process " in result.err
    assert run.config_path.exists()
    assert re.search(r"seed=1 +complete ", result.out)


def test_a_run_whose_settings_cannot_be_read_is_left_alone(deepcrl, tiny, tmp_path: Path) -> None:
    run = prepare(tmp_path / "sweep" / "seed=0", compose_values([*tiny, "seed=0"]), resume=False)
    run.config_path.write_text("seed: [")
    result = deepcrl("train", *tiny, "-m", "seed=0", "seed=0,1", "hydra.sweep.dir=sweep")
    assert result.code == 2
    assert "config.yaml cannot be read; remove " in result.err
    assert run.config_path.read_text() == "seed: ["


def test_optuna_proposes_the_same_runs_again_and_goes_on(deepcrl, tiny, tmp_path: Path) -> None:
    command = ("train", *tiny, *TWO_UPDATES, "-m", "sweep=tune", "hydra.sweep.dir=sweep")
    assert deepcrl(*command, "hydra.sweeper.n_trials=2").code == 0
    first = names(tmp_path / "sweep")
    assert len(first) == 2
    assert all(re.match(r"agent\.actor_lr=0\.000\d+,agent\.critic_lr=0\.000\d+,", name) for name in first)
    result = deepcrl(*command, "hydra.sweeper.n_trials=3")
    assert (result.code, result.out.count("Already complete: ")) == (0, 2)
    assert set(first) < set(names(tmp_path / "sweep"))
    best = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    assert best["best_params"].keys() == {"agent.actor_lr", "agent.critic_lr", "agent.temperature_lr"}


def test_optuna_goes_on_after_a_run_that_fails(process, tiny, tmp_path: Path) -> None:
    own = [override for override in tiny if not override.startswith("encoder.depth")]
    optuna = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1", "hydra.sweep.dir=sweep")
    tpe = ("hydra.sweeper.direction=maximize", "hydra.sweeper.sampler.seed=0", "-m")
    result = process("train", *own, *TWO_UPDATES, *optuna, *tpe, "encoder.depth=6,4")
    assert result.code == 2
    assert re.search(r"encoder.depth=4 +complete ", result.out)
    assert re.search(r"encoder.depth=6 +failed ", result.out)
    result = process("train", *own, *TWO_UPDATES, *optuna, *tpe, "encoder.depth=6,10")
    assert result.err.splitlines()[-1] == "deepcrl: every run of the sweep failed; each has its error.txt"


@pytest.mark.parametrize(
    ("typed", "value", "expected"),
    [([], 0, 1000), (["hydra.launcher.max_num_timeout=0"], 0, 0), ([], 3, 3)],
    ids=["by-default", "never", "in-a-file"],
)
def test_slurm_requeues_unless_the_user_says_how_often(
    tmp_path: Path, typed: list[str], value: int, expected: int
) -> None:
    launcher = {"_target_": "hydra_plugins.any.SlurmLauncher", "max_num_timeout": value}
    values = {"launcher": launcher, "overrides": {"hydra": typed}, "sweep": {"dir": str(tmp_path)}}
    config = OmegaConf.create({"hydra": values})
    OmegaConf.set_readonly(config, True)
    Summary().on_multirun_start(config)
    assert config.hydra.launcher.max_num_timeout == expected


def test_a_failure_that_the_disk_does_not_take_is_told(
    deepcrl, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweep, "write_atomic", full)
    result = deepcrl("train", "-m", *tiny, "encoder.depth=6", "hydra.sweep.dir=sweep", "seed=0,1")
    assert result.code == 2
    told = f"{DEPTH_6} (error.txt cannot be written: No space left on device)"
    assert [line.rpartition(": encoder")[2] for line in result.err.splitlines()[:2]] == [told[7:]] * 2


def test_hydra_s_own_files_on_a_full_disk_are_one_line(deepcrl, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(OmegaConf, "save", full)
    error = deepcrl("train", "-m", *tiny, "hydra.sweep.dir=sweep", "seed=0,1").error
    assert error == "Cannot write the sweep's files: No space left on device; the same command goes on"
