"""On a real SLURM of two nodes, both on this machine: jobs that it stops are saved, queued again, and go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows
from tests.cli import slurm_cluster
from tests.cli.conftest import last_of_each
from tests.cli.slurm_cluster import wait

pytestmark = pytest.mark.skipif(
    not slurm_cluster.is_installed(),
    reason="needs SLURM's and munge's daemons and root: apt-get install slurmctld slurmd slurm-client munge",
)
SLOW_LOSS = '''
import os, time
from pathlib import Path

from torch import Tensor

from deepcrl.core.components import LOSSES


@LOSSES.register("slow")
def slow(logits: Tensor) -> Tensor:
    """Takes its time while there is a file of that name."""
    if Path(os.environ["SLOW"]).exists():
        time.sleep(0.05)
    return (logits.logsumexp(dim=1) - logits.diagonal()).mean()
'''
Sweep = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a cluster's users."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "slow_loss.py").write_text(SLOW_LOSS)
    with slurm_cluster.cluster(folder / "cluster") as environment:
        paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
        yield environment | {"DEEPCRL_PLUGINS": "slow_loss", "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def sweep(slurm: dict[str, str], tiny, tmp_path: Path) -> Iterator[Sweep]:
    """Starts a sweep of two seeds, 80 unrolls each, which are slow as long as there is a file `slow`."""
    (tmp_path / "slow").touch()
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        length = ("total_env_steps=1600", "eval_every=1600", "checkpoint_every=1600", "loss=slow", "seed=0,1")
        launcher = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.sweep.dir=sweep")
        words = last_of_each((*tiny, *length, *launcher, *arguments))
        program = [str(Path(sys.executable).with_name("deepcrl")), "train", "-m", *words]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(program, cwd=tmp_path, env=slurm | {"SLOW": str(tmp_path / "slow")}, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
    left = jobs(slurm)
    if left:
        subprocess.run(["scancel", "--signal=KILL", *left], env=slurm, check=False)
        wait(lambda: not jobs(slurm))


def jobs(slurm: dict[str, str]) -> list[str]:
    """The jobs in the queue, running or not, one for each run, in the order of their seeds."""
    return sorted(subprocess.check_output(["squeue", "-h", "-r", "-o", "%i"], env=slurm, text=True).split())


def num_rows(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return len(metrics.read_bytes().splitlines()) if metrics.exists() else 0


def num_starts(run: Path) -> int:
    return len(json.loads((run / "environment.json").read_text())["starts"])


def num_saved(run: Path) -> int:
    """Checkpoints beside the first, which is that of the first evaluation."""
    return max(0, len(checkpoint.list_checkpoints(run / "checkpoints")) - 1)


def assert_went_on(run: Path, starts: int, end: int) -> None:
    """Asserts that no row is missing or there twice; the last unroll may lack its own, saved in the middle of it."""
    rows, torn = read_rows(run / "metrics.jsonl")
    assert torn == 0
    assert [row["env_steps"] for row in rows] == list(range(0, int(rows[-1]["env_steps"]) + 1, 20))
    assert end - 20 <= rows[-1]["env_steps"] <= end
    assert num_starts(run) == starts


def test_preempted_and_requeued_runs_are_saved_and_go_on(slurm: dict[str, str], sweep: Sweep, tmp_path: Path) -> None:
    process = sweep("hydra.launcher.timeout_min=30")
    runs = [tmp_path / "sweep" / f"seed={seed}" for seed in (0, 1)]
    wait(lambda: all(num_rows(run) > 10 for run in runs))
    preempted, requeued = jobs(slurm)
    subprocess.run(["scancel", "--signal=USR2", preempted], env=slurm, check=True)  # submitit's, of a time limit
    subprocess.run(["scontrol", "requeue", requeued], env=slurm, check=True)  # as when another job needs the node
    wait(lambda: all(map(num_saved, runs)))
    for run in runs:
        assert 20 * num_rows(run) >= checkpoint.find(run).env_steps > 200  # nothing is lost
    (tmp_path / "slow").unlink()
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert out.count("  complete  ") == 2
    for run in runs:
        assert_went_on(run, starts=2, end=1600)


def test_ctrl_c_leaves_the_jobs_alone_and_says_so(slurm: dict[str, str], sweep: Sweep) -> None:
    process = sweep("hydra.launcher.timeout_min=30")
    wait(lambda: len(jobs(slurm)) == 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    goes_on = "jobs that are in the queue go on (scancel saves and ends them)"
    again = "when they have ended, the same command, with hydra.sweep.dir=sweep, sums up"
    assert err.splitlines()[-1] == f"deepcrl: no longer waiting; {goes_on}; {again}"
    assert len(jobs(slurm)) == 2


@pytest.mark.slow
def test_at_the_time_limit_a_run_is_saved_and_goes_on_and_scancel_saves_it(
    slurm: dict[str, str], sweep: Sweep, tmp_path: Path
) -> None:
    limit = ("hydra.launcher.timeout_min=3", "hydra.launcher.signal_delay_s=45")  # SLURM signals a minute early at most
    process = sweep(*limit, "total_env_steps=1000000")
    runs = [tmp_path / "sweep" / f"seed={seed}" for seed in (0, 1)]
    wait(lambda: all(map(num_saved, runs)))
    wait(lambda: all(num_starts(run) == 2 for run in runs))
    rows = list(map(num_rows, runs))
    wait(lambda: all(num_rows(run) > before + 2 for run, before in zip(runs, rows, strict=True)))
    process.kill()
    saved = [checkpoint.find(run).env_steps for run in runs]
    subprocess.run(["scancel", "--user=root"], env=slurm, check=True)
    wait(lambda: not jobs(slurm))
    assert all(checkpoint.find(run).env_steps > before for run, before in zip(runs, saved, strict=True))
    for run in runs:
        assert_went_on(run, starts=2, end=checkpoint.find(run).env_steps)
