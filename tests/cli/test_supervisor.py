"""A sweep in parallel: a signal to the process that was started saves every run before anything ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepcrl.cli import supervisor
from deepcrl.run import checkpoint


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("train -m hydra/launcher=joblib", True),
        ("train --multirun hydra/launcher=submitit_local seed=0", True),
        ("train -m hydra/launcher=ray", True),
        ("train -m", False),
        ("train -m hydra/launcher=basic", False),
        ("train -m hydra/launcher=submitit_slurm", False),  # the jobs are elsewhere, and go on
        ("train hydra/launcher=joblib", False),
        ("eval -m hydra/launcher=joblib", False),
    ],
)
def test_is_parallel(command: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    verb, *arguments = command.split()
    assert supervisor.is_parallel(verb, arguments) == expected
    monkeypatch.setenv(supervisor.FOLDER, "there")  # the launcher's own process
    assert not supervisor.is_parallel(verb, arguments)


WORKER = """
import os, signal, sys, time
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
open(os.path.join(os.environ["DEEPCRL_SWEEP_PROCESSES"], str(os.getpid())), "w").close()
print("ready", flush=True)
while not stopped:
    time.sleep(0.01)
print("saving", flush=True)
time.sleep(float(sys.argv[1]))
print("saved", flush=True)
"""


def supervised(tmp_path: Path, seconds: float) -> subprocess.Popen[str]:
    """Starts a supervisor over one stand-in for a run, which takes so long to save; waits until it is announced."""
    (tmp_path / "worker.py").write_text(WORKER)
    code = "import sys; from deepcrl.cli.supervisor import supervise; supervise([sys.executable, *sys.argv[1:]])"
    program = [sys.executable, "-c", code, str(tmp_path / "worker.py"), str(seconds)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", supervisor.SIGNALS)
def test_any_signal_is_a_request_to_save_and_is_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    process = supervised(tmp_path, 0.2)
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("saving\nsaved\n", "")
    assert process.returncode == 128 + number


def test_a_second_signal_stops_at_once_and_further_ones_leave_no_traceback(tmp_path: Path) -> None:
    process = supervised(tmp_path, 60)
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "saving\n"
    for _ in range(4):
        process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "deepcrl: stopped at once, without saving\n")
    assert process.returncode == 130


def test_ctrl_c_saves_every_run_of_joblib(tiny, tmp_path: Path) -> None:
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep")
    endless = ("seed=0,1,2", "total_env_steps=10000000", "checkpoint_every=10000000", *launcher)
    program = [str(Path(sys.executable).with_name("deepcrl")), "train", "-m", *tiny, *endless]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        program, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("sweep/*/metrics.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (130, "")
    assert out.endswith("The sweep stops here. The same command goes on, with hydra.sweep.dir=sweep\n")
    runs = sorted((tmp_path / "sweep").glob("seed=*"))
    assert [run.name for run in runs] == ["seed=0", "seed=1"]
    for run in runs:
        assert checkpoint.find(run).content
        assert not list(run.glob("checkpoints/.writing_*"))
