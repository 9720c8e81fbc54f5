"""Full and read-only disks: one line, what was saved stays loadable, and the work goes on when there is room again.

python -m tests.drill.disks --seed 0 --num 60

Each case has a small disk of its own, a tmpfs. Where that may not be mounted, a full disk is imitated by a limit on the
size of the command's files, and a read-only one by the folder's permissions.
"""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepcrl.run.checkpoint import list_checkpoints
from tests.drill.cases import (
    CRL,
    STEPS,
    TINY,
    Worker,
    drill,
    go_on,
    is_alive,
    leftovers,
    one_line,
    otherwise,
    shown,
    straight,
)

SETTINGS = ((*TINY, STEPS, CRL), (*TINY, STEPS, CRL, "buffer=disk_ring"))
VERBS = ("train", "train", "train", "resume", "resume", "sweep", "eval", "play", "export", "report")
DISKS = ("full", "full", "full at once", "read-only")
"""Full after a while, or from the beginning; read-only from the beginning, for what is being written keeps it so."""
SIZE = "16m"


@dataclass(frozen=True)
class Disk:
    """A verb on a disk that refuses, after `share` of the time that it takes."""

    settings: tuple[str, ...]
    verb: str
    disk: str
    share: float

    def __str__(self) -> str:
        return f"{self.verb} of {self.settings[-1]} on a {self.disk} disk, share {self.share:.2f}"


def disks(seed: int, num: int) -> list[Disk]:
    """Returns `num` cases: each verb in turn."""
    rng = random.Random(seed)
    return [Disk(rng.choice(SETTINGS), VERBS[i % len(VERBS)], rng.choice(DISKS), rng.random() ** 2) for i in range(num)]


def can_mount() -> bool:
    """Whether this user may mount a disk of their own."""
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(("mount", "-t", "tmpfs", "tmpfs", folder), capture_output=True).returncode:
            return False
        subprocess.run(("umount", folder), check=True)
    return True


CAN_MOUNT = bool(shutil.which("mount")) and can_mount()


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """Makes a folder that is a small disk of its own, where that can be."""
    folder.mkdir()
    if CAN_MOUNT:
        subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)), check=True)
    try:
        yield folder
    finally:
        if CAN_MOUNT:
            subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(folder: Path) -> None:
    """Leaves no room on a disk."""
    with open(folder / "ballast", "ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass


def refuse(case: Disk, folder: Path, pid: int | None) -> None:
    """Makes the disk refuse what a command writes from now on."""
    if case.disk == "read-only":
        if CAN_MOUNT:
            subprocess.run(("mount", "-o", "remount,ro", str(folder)), check=True)
        else:
            folder.chmod(0o555)
    elif CAN_MOUNT:
        fill(folder)
    elif pid:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def allow(folder: Path) -> None:
    """Makes room again."""
    if CAN_MOUNT:
        subprocess.run(("mount", "-o", "remount,rw", str(folder)), check=True)
    folder.chmod(0o755)
    (folder / "ballast").unlink(missing_ok=True)


def complaint(case: Disk, worker: Worker, folder: Path) -> str:
    """Runs the verb on a disk that refuses, and again when it has room; returns what is wrong, "" if nothing is."""
    expected = straight(worker, case.settings)
    with disk(folder / "disk") as there:
        if case.verb not in ("train", "sweep") and (what := prepare(case, worker, there)):
            return what
        saved = loadable(there)
        before = set(there.rglob("*"))
        done = refused(case, worker, there, expected.seconds)
        allow(there)
        if what := answer(case, done) or unlike(there, before, saved, done):
            return what
        if case.verb in ("train", "resume"):
            done = worker.run(there, *go_on(there / "run", case.settings))
            return shown(done) if done.returncode or done.stderr else otherwise(there / "run", expected)
        if case.verb == "export" and not done.returncode:  # the disk was full too late, and the file is there
            return ""
        done = worker.run(there, *words(case))
        if done.returncode:
            return f"did not go on: {shown(done)}"
        if case.verb == "sweep":
            return otherwise(there / "sweep" / "seed=0", expected)
    return ""


def prepare(case: Disk, worker: Worker, there: Path) -> str:
    """Trains a run for the verbs that need one; returns what is wrong, "" if nothing is."""
    done = worker.run(there, "train", *case.settings, "run_dir=run")
    if case.verb == "resume" and not done.returncode:
        shutil.rmtree(list_checkpoints(there / "run" / "checkpoints")[-1].path)
    return shown(done) if done.returncode else ""


def words(case: Disk) -> tuple[str, ...]:
    return {
        "train": ("train", *case.settings, "run_dir=run"),
        "resume": ("train", "resume=run"),
        "sweep": ("train", "-m", *case.settings, "seed=0,1", "hydra.sweep.dir=sweep"),
        "eval": ("eval", "run"),
        "play": ("play", "run", "--tiles", "1", "--size", "64", "--steps", "30"),
        "export": ("export", "run", "data.npz"),
        "report": ("report", "run", "--csv", "table.csv", "--png", "pictures"),
    }[case.verb]


def refused(case: Disk, worker: Worker, there: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    """Runs the verb, and has the disk refuse before or meanwhile."""
    at_once = case.disk != "full"
    if at_once:
        refuse(case, there, None)
    command = worker.start(there, *words(case))
    deadline = time.monotonic() + case.share * seconds
    while not at_once and time.monotonic() < deadline and is_alive(command.pid):
        time.sleep(0.005)
    while is_alive(command.pid):
        if case.disk != "read-only":  # again and again, for it removes what it has written
            refuse(case, there, command.pid)
        time.sleep(0.005)
    return command.wait(60)


def answer(case: Disk, done: subprocess.CompletedProcess[str]) -> str:
    """Returns what is wrong with the answer, "" if it came before the disk was full, or is a refusal in a line."""
    if done.returncode == 0:
        return shown(done) if done.stderr or case.disk == "read-only" else ""
    if case.verb == "sweep":  # a line for each run
        lines = done.stderr.splitlines()
        return "" if lines and all(line.startswith("deepcrl: ") for line in lines) else shown(done)
    return "" if one_line(done) else shown(done)


def unlike(there: Path, before: set[Path], saved: dict[Path, str], done: subprocess.CompletedProcess[str]) -> str:
    """Returns what is wrong with what is on the disk: what was there, and what is new there and not whole."""
    if gone := [path for path in saved if not path.exists() and not list_checkpoints(path.parent)]:
        return f"gone: {gone}"
    with contextlib.suppress(ValueError):
        loadable(there)
        new = [path for path in there.rglob("*") if path not in before and path.is_file()]
        if empty := [
            path
            for path in new
            if path.suffix in (".mp4", ".gif", ".npz", ".png", ".html", ".csv") and not path.stat().st_size
        ]:
            return f"empty: {empty}; {shown(done)}"
        left = [path for run in there.glob("**/run") for path in leftovers(run)]
        return f"left: {left}; {shown(done)}" if left else ""
    return f"a checkpoint cannot be loaded: {shown(done)}"


def loadable(there: Path) -> dict[Path, str]:
    """Loads every checkpoint on a disk; ValueError for one that is not whole."""
    found = [saved for folder in there.rglob("checkpoints") for saved in list_checkpoints(folder)]
    return {saved.path: str(saved.content.get("run_id")) for saved in found}


def main() -> int:
    if not CAN_MOUNT:
        print("No disk may be mounted here: full ones are imitated by a limit on the size of files")
    return drill(__doc__, "disks: one line, nothing saved is lost, and it goes on", 60, disks, complaint)


if __name__ == "__main__":
    raise SystemExit(main())
