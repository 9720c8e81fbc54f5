"""On a real SLURM of one node on this machine: a preempted job is saved, put back into the queue, and goes on."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scancel", "squeue")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)) or os.geteuid() != 0,
    reason="needs SLURM's and munge's daemons and root: apt-get install slurm-wlm munge",
)

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobRequeue=1
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d.pid
SlurmctldPort=17100
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/d.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17101 CPUs=1 RealMemory=2000
PartitionName=main Nodes=n1 Default=YES MaxTime=INFINITE State=UP
"""


def wait(until: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "slurm"
    for name in ("spool", "state"):
        (folder / name).mkdir(parents=True)
    (folder / "slurm.conf").write_text(CONFIG.format(host=socket.gethostname().split(".")[0], folder=folder))
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    own = {name: folder / f"munge.{name}" for name in ("socket", "key", "log", "pid", "seed")}
    flags = {"socket": "socket", "key": "key-file", "log": "log-file", "pid": "pid-file", "seed": "seed-file"}
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    daemons = [
        subprocess.Popen(["munged", "-F", "--force", *(f"--{flags[name]}={path}" for name, path in own.items())]),
    ]
    try:
        wait(own["socket"].exists)
        daemons += [subprocess.Popen(["slurmctld", "-D"]), subprocess.Popen(["slurmd", "-D", "-N", "n1"])]
        wait(lambda: b"idle" in subprocess.run(["sinfo", "-h", "-o", "%T"], stdout=subprocess.PIPE).stdout)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()


def test_a_preempted_run_is_saved_requeued_and_goes_on(slurm: None, tiny, tmp_path: Path) -> None:
    launcher = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=30", "hydra.sweep.dir=sweep")
    program = [str(Path(sys.executable).with_name("deepcrl")), "train", "-m", *tiny, "seed=0", *launcher]
    sweep = subprocess.Popen([*program, "total_env_steps=40000", "checkpoint_every=1000000"], cwd=tmp_path)
    run = tmp_path / "sweep" / "seed=0"
    wait(lambda: len((run / "metrics.jsonl").read_bytes().splitlines()) > 20 if run.exists() else False)
    (job,) = subprocess.check_output(["squeue", "-h", "-t", "R", "-o", "%i"], text=True).split()
    subprocess.run(["scancel", "--signal=USR2", job], check=True)  # as submitit has SLURM do before the time limit
    wait(lambda: len(checkpoint.list_checkpoints(run / "checkpoints")) > 1)
    saved = checkpoint.find(run)
    assert sweep.wait(timeout=600) == 0
    rows, torn = read_rows(run / "metrics.jsonl")
    assert torn == 0
    assert saved.env_steps > 0
    assert [row["env_steps"] for row in rows] == list(range(0, 40001, 20))
