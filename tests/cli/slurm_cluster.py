"""A SLURM of two nodes with one core each, all on this machine, for as long as a `with` block lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scancel", "scontrol", "sinfo", "squeue")
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is put back into the queue waits for cred_expire before it starts again: 120 seconds if not set
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobRequeue=1
KillWait=30
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d.%n.pid
SlurmctldPort=17100
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17101 CPUs=1 RealMemory=2000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=17102 CPUs=1 RealMemory=2000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def is_installed() -> bool:
    """Whether a cluster can be started here: SLURM's and munge's programs are there, and this is root."""
    return all(map(shutil.which, PROGRAMS)) and os.geteuid() == 0


def wait(until: Callable[[], object], seconds: float = 600) -> None:
    """Waits until `until()` is true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Starts SLURM with all its files in `folder`; yields the environment in which its commands find it."""
    for name in ("spool.n1", "spool.n2", "state"):
        (folder / name).mkdir(parents=True)
    (folder / "slurm.conf").write_text(CONFIG.format(host=socket.gethostname().split(".")[0], folder=folder))
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    munge_files = {"socket": "socket", "key-file": "key", "log-file": "log", "pid-file": "pid", "seed-file": "seed"}
    daemons: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> None:
        with (folder / f"daemon{len(daemons)}.log").open("wb") as log:
            daemons.append(subprocess.Popen(words, env=environment, stdout=log, stderr=log))

    def ask(*words: str) -> list[bytes]:
        asked = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return asked.stdout.split()

    try:
        start("munged", "-F", "--force", *(f"--{flag}={folder}/munge.{file}" for flag, file in munge_files.items()))
        wait((folder / "munge.socket").exists)
        start("slurmctld", "-D")
        start("slurmd", "-D", "-N", "n1")
        start("slurmd", "-D", "-N", "n2")
        wait(lambda: ask("sinfo", "-h", "-N", "-o", "%T") == [b"idle", b"idle"])
        yield environment
    finally:
        ask("scancel", "--full", "--signal=KILL", "--user=root")
        with contextlib.suppress(AssertionError):
            wait(lambda: not ask("squeue", "-h"), 60)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
