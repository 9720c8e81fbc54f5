"""What only a process of its own shows: kill -9, exit statuses of signals, plugins named in the environment, sweeps."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows
from tests.cli.conftest import last_of_each

MINE = '''
from torch import Tensor

from deepcrl.core.components import LOSSES


@LOSSES.register("mine")
def mine(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Forward InfoNCE with a temperature."""
    scaled = logits / temperature
    return (scaled.logsumexp(dim=1) - scaled.diagonal()).mean()
'''

FATAL = '''
import os

from torch import Tensor

from deepcrl.core.components import LOSSES

calls = 0


@LOSSES.register("fatal")
def fatal(logits: Tensor) -> Tensor:
    """At the call that AT_CALL names, becomes NaN or sends the process a signal."""
    global calls
    calls += 1
    loss = (logits.logsumexp(dim=1) - logits.diagonal()).mean()
    if calls == int(os.environ.get("AT_CALL", 0)):
        if os.environ["SEND"] == "nan":
            return loss * float("nan")
        for number in os.environ["SEND"].split():
            os.kill(os.getpid(), int(number))
    return loss
'''


@pytest.fixture
def fatal(process, tiny, tmp_path: Path):
    """Trains with the loss `fatal`: `fatal("run_dir=a", AT_CALL="40", SEND="9")`."""
    (tmp_path / "fatal_loss.py").write_text(FATAL)

    def run(*arguments: str, **variables: str):
        return process("train", *arguments, DEEPCRL_PLUGINS="fatal_loss", **variables)

    return run


@pytest.mark.parametrize("buffer", ["ring", "disk_ring"])
def test_kill_9_and_resume_equals_a_straight_run(fatal, tiny, tmp_path: Path, same, buffer: str) -> None:
    tiny = (*tiny, f"buffer={buffer}", "buffer.capacity=20", "loss=fatal")  # so that it wraps
    assert fatal(*tiny, "run_dir=straight").code == 0
    killed = fatal(*tiny, "run_dir=run", AT_CALL="40", SEND=str(int(signal.SIGKILL)))
    assert killed.code == -signal.SIGKILL
    assert checkpoint.find(tmp_path / "run").path.name == "step_0000000000200_00000000024"
    left = tmp_path / "run" / "checkpoints" / ".writing_step_0000000000210_00000000039"
    left.mkdir()  # as if it had been killed while saving
    resumed = fatal("resume=run")
    assert (resumed.code, resumed.err) == (0, "")
    assert not left.exists()
    rows, torn = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert torn == 0
    same(rows, read_rows(tmp_path / "straight" / "metrics.jsonl")[0])
    ends = [checkpoint.find(tmp_path / name).state for name in ("run", "straight")]
    same(*ends)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_shows_in_the_exit_status(fatal, tiny, tmp_path: Path, number: signal.Signals) -> None:
    stopped = fatal(*tiny, "loss=fatal", "run_dir=run", AT_CALL="30", SEND=str(int(number)))
    assert (stopped.code, stopped.err) == (128 + number, "")
    assert stopped.out.endswith("Saved. Go on with: deepcrl train resume=run\n")
    assert checkpoint.find(tmp_path / "run").path.name == "step_0000000000240_00000000030"
    assert (tmp_path / "run" / "plots" / "curves.png").exists()


def test_the_second_ctrl_c_stops_at_once_without_a_traceback(fatal, tiny, tmp_path: Path) -> None:
    stopped = fatal(*tiny, "loss=fatal", "run_dir=run", AT_CALL="30", SEND="2 2")
    assert (stopped.code, stopped.err) == (130, "deepcrl: stopped at once, without saving\n")
    assert checkpoint.find(tmp_path / "run").path.name == "step_0000000000200_00000000024"


def test_nan_is_one_line_and_the_dump_can_be_read(fatal, tiny, tmp_path: Path) -> None:
    error = fatal(*tiny, "loss=fatal", "run_dir=run", AT_CALL="30", SEND="nan").error
    assert error.startswith("Stopped after 32 gradient steps: actor/loss=nan, ")
    assert "more metrics. State dumped to " in error
    assert error.endswith("State dumped to run/nan_dump/step_0000000000240_00000000032")
    assert checkpoint.Checkpoint(tmp_path / "run" / "nan_dump" / "step_0000000000240_00000000032").content
    assert checkpoint.find(tmp_path / "run").path.name == "step_0000000000200_00000000024"
    assert fatal("resume=run").code == 0  # from before the NaN


def test_a_loss_in_a_file_of_its_own(process, tiny, tmp_path: Path) -> None:
    (tmp_path / "my_loss.py").write_text(MINE)
    mine = {"DEEPCRL_PLUGINS": "my_loss"}
    listed = process("list", "losses", **mine).out
    assert "loss=mine\n    Forward InfoNCE with a temperature.\n    loss.temperature: float = 1.0\n" in listed
    assert process("train", *tiny, "loss=mine", "loss.temperature=0.5", "run_dir=run", **mine).code == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["loss"] == {
        "name": "mine",
        "temperature": 0.5,
    }
    # Resuming speaks of the saved loss, not of the default one
    error = process("train", "resume=run", "loss.temperature=1.0", **mine).error
    assert error.startswith("resume: loss.temperature=1.0 contradicts the saved run, which has loss.temperature=0.5; ")
    error = process("train", *tiny, "loss=mine", "loss.temperature=warm", "run_dir=other", **mine).error
    assert error == "loss.temperature: Value 'warm' of type 'str' could not be converted to Float"
    # Without the plugin the run cannot be understood, and says so
    assert process("eval", "run").error.startswith("Unknown loss 'mine'. ")


@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")])
def test_a_sweep_over_ones_own_loss(process, tiny, tmp_path: Path, launcher: tuple[str, ...]) -> None:
    (tmp_path / "my_loss.py").write_text(MINE)
    short = [override for override in tiny if not override.startswith("total_env_steps")]
    sweep = ("loss=mine,infonce", "seed=0,1", "total_env_steps=120", "hydra.sweep.dir=sweep", *launcher)
    result = process("train", "-m", *short, *sweep, DEEPCRL_PLUGINS="my_loss")
    assert result.code == 0, result.err
    runs = {path.parent.name: read_rows(path)[0] for path in (tmp_path / "sweep").glob("*/metrics.jsonl")}
    assert runs.keys() == {f"loss={loss},seed={seed}" for loss in ("mine", "infonce") for seed in (0, 1)}
    assert all(len(rows) == 7 for rows in runs.values())
    assert runs["loss=mine,seed=0"][-1]["critic/loss"] != runs["loss=infonce,seed=0"][-1]["critic/loss"]


def test_a_run_of_a_sweep_that_fails_does_not_stop_the_others(fatal, tiny, tmp_path: Path) -> None:
    result = fatal("-m", *tiny, "loss=fatal", "seed=0,1", "hydra.sweep.dir=sweep", AT_CALL="30", SEND="nan")
    assert result.code == 2
    assert "deepcrl: seed=0: Stopped after 32 gradient steps: actor/loss=nan, " in result.err
    assert "Traceback" not in result.err
    assert len(read_rows(tmp_path / "sweep" / "seed=1" / "metrics.jsonl")[0]) == 21


@pytest.mark.parametrize(
    ("verb", "source", "reason"),
    [
        ("train", "import nonsense_that_is_not_there", "No module named 'nonsense_that_is_not_there'"),
        ("list", None, "No module named 'my_loss'"),
        (
            "train",
            MINE.replace('"mine"', '"infonce"'),
            "loss 'infonce' of my_loss is already registered by deepcrl.core.losses.infonce",
        ),
    ],
)
def test_a_plugin_that_does_not_import(process, tmp_path: Path, verb: str, source: str | None, reason: str) -> None:
    if source is not None:
        (tmp_path / "my_loss.py").write_text(source)
    error = process(verb, DEEPCRL_PLUGINS="my_loss").error
    assert error.startswith("Plugin 'my_loss' (named in DEEPCRL_PLUGINS) failed to import: ")
    assert error.endswith(reason)
    assert not (tmp_path / "runs").exists()


def test_of_two_processes_on_one_directory_the_loser_changes_nothing(tiny, tmp_path: Path) -> None:
    short = last_of_each(("train", *tiny, "run_dir=run", "total_env_steps=100"))
    program = [str(Path(sys.executable).with_name("deepcrl")), *short]
    started = [
        subprocess.Popen([*program, f"seed={seed}"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for seed in (0, 1)
    ]
    errors = [process.communicate(timeout=600)[1].decode() for process in started]
    assert sorted(process.returncode for process in started) == [0, 2]
    (winner,) = (seed for seed in (0, 1) if started[seed].returncode == 0)
    refused = r"deepcrl: run (is being written by another deepcrl run, process \d+|already holds a run; .*)\n"
    assert re.fullmatch(refused, errors[1 - winner])
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["seed"] == winner
    assert checkpoint.find(tmp_path / "run").config["seed"] == winner
