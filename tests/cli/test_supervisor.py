"""A sweep in parallel: a signal to the process that was started saves every run before anything ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepcrl import cli
from deepcrl.cli import supervisor
from deepcrl.run import checkpoint
from tests.cli.conftest import last_of_each


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("train -m hydra/launcher=joblib", True),
        ("train --multirun hydra/launcher=submitit_local seed=0", True),
        ("train -m hydra/launcher=ray", True),
        ("train -m", False),
        ("train -m hydra/launcher=basic", False),
        ("train -m hydra/launcher=submitit_slurm", False),  # the jobs are elsewhere, and go on
        ("train -m hydra/launcher=mine", False),  # known when Hydra has read it
        ("train hydra/launcher=joblib", False),
        ("eval -m hydra/launcher=joblib", False),
    ],
)
def test_is_parallel(command: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    verb, *arguments = command.split()
    assert supervisor.is_parallel(verb, arguments) == expected
    monkeypatch.setenv(supervisor.FOLDER, "there")  # the launcher's own process
    assert not supervisor.is_parallel(verb, arguments)


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [("BasicLauncher", False), ("SlurmLauncher", False), ("LocalLauncher", True), ("RayLauncher", True)],
)
def test_needs_supervision(launcher: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert supervisor.needs_supervision(launcher) == expected
    monkeypatch.setenv(supervisor.FOLDER, "there")
    assert not supervisor.needs_supervision(launcher)


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


ANNOUNCED = """
import signal, sys, time
from deepcrl import cli
from deepcrl.cli import supervisor
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
for i in range(2):
    with supervisor.announced():
        print("ready", flush=True)
        while not stopped and i:
            time.sleep(0.01)
print("saved", supervisor.is_stopped(), flush=True)
"""


def test_runs_whose_supervisor_is_killed_save_and_no_further_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "WORKER", ANNOUNCED)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = supervised(tmp_path, 0)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"  # the second run of this process; the first one is over
    process.kill()
    assert process.communicate(timeout=60) == ("saved True\n", "")


STAND_IN = '''
"""A launcher of the shape of Ray's: processes out of reach of the terminal, which answer SIGTERM by ending."""

import multiprocessing
import os
import signal
import sys

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict


class StandIn(Launcher):
    def setup(self, *, hydra_context, task_function, config):
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides, initial_job_idx):
        setup_globals()
        jobs = [self.config_of(i + initial_job_idx, overrides) for i, overrides in enumerate(job_overrides)]
        for at_once in (jobs[:2], jobs[2:]):
            workers = [multiprocessing.get_context("fork").Process(target=self.work, args=(job,)) for job in at_once]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=None) for _ in jobs]

    def config_of(self, number, overrides):
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        return config

    def work(self, config):
        os.setsid()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        HydraConfig.instance().set_config(config)
        dirs = {"job_dir_key": "hydra.sweep.dir", "job_subdir_key": "hydra.sweep.subdir"}
        run_job(hydra_context=self.context, task_function=self.task, config=config, **dirs)


node = {"_target_": "hydra_plugins.stand_in.StandIn"}
ConfigStore.instance().store("stand_in", node, "hydra/launcher")
'''
IN_A_FILE = """
# @package _global_
defaults:
  - override /hydra/launcher: stand_in
"""
RAY = ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.remote.num_cpus=1")
NEEDS_RAY = pytest.mark.skipif(
    not importlib.util.find_spec("ray"), reason="needs Ray: pip install hydra-ray-launcher==1.2.2"
)
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@pytest.mark.parametrize(
    ("launcher", "number"),
    [
        pytest.param(JOBLIB, signal.SIGINT, id="joblib"),
        pytest.param(("--config-dir=configs", "sweep=in_a_file"), signal.SIGTERM, id="as-ray"),
        pytest.param(RAY, signal.SIGINT, id="ray", marks=NEEDS_RAY),
    ],
)
def test_a_signal_saves_every_run(tiny, tmp_path: Path, launcher: tuple[str, ...], number: signal.Signals) -> None:
    for file, text in (("hydra_plugins/stand_in.py", STAND_IN), ("configs/sweep/in_a_file.yaml", IN_A_FILE)):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    endless = ("seed=0,1,2", "total_env_steps=10000000", "checkpoint_every=10000000", "hydra.sweep.dir=sweep")
    words = last_of_each((*launcher, *tiny, *endless))
    program = [str(Path(sys.executable).with_name("deepcrl")), "train", "-m", *words]
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    process = subprocess.Popen(
        program, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 600
    while sum(path.stat().st_size > 0 for path in tmp_path.glob("sweep/*/metrics.jsonl")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err if launcher != RAY else "") == (128 + number, "")  # Ray says what it starts
    assert "The sweep stops here. The same command goes on, with hydra.sweep.dir=sweep\n" in out
    runs = sorted((tmp_path / "sweep").glob("seed=*"))
    assert [run.name for run in runs] == ["seed=0", "seed=1"]
    for run in runs:
        assert checkpoint.find(run).content
        assert not list(run.glob("checkpoints/.writing_*"))
        assert (run / "plots" / "curves.png").exists()  # whatever the launcher itself does at SIGTERM


@pytest.mark.parametrize(("code", "ignored"), [(143, True), (2, False), (141, False)])
def test_what_is_saved_ends_with_its_status_whatever_else_comes(
    monkeypatch: pytest.MonkeyPatch, code: int, ignored: bool
) -> None:
    def ended(arguments: list[str]) -> None:
        raise SystemExit(code)

    handlers: dict[int, object] = {}
    monkeypatch.setattr(cli, "_main", ended)
    monkeypatch.setattr(cli.signal, "signal", handlers.__setitem__)
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == code
    assert handlers == (dict.fromkeys(supervisor.SIGNALS, signal.SIG_IGN) if ignored else {})
