"""kill -9 at any moment: the run goes on and ends bit-equal to one that was not killed.

python -m tests.drill.kills --seed 0 --num 100
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.drill.cases import CRL, STEPS, TINY, Worker, drill, go_on, is_alive, otherwise, shown, straight, until

SETTINGS: tuple[tuple[str, ...], ...] = (
    (CRL,),
    (CRL, "buffer=disk_ring"),
    (CRL, "eval_every=20", "num_eval_envs=16"),  # an evaluation most of the time
    (CRL, "buffer=disk_ring", "checkpoint_every=20"),  # a checkpoint most of the time
    ("agent=qrl", CRL, "buffer=disk_ring"),
    ("agent=sac",),
    ("agent=td3", "buffer=disk_ring"),
    ("agent=gcbc",),
)
MOMENTS = ("any", "run", "run", "write", "write", "draw")
"""Any moment of the command; one after the run has its directory; while a checkpoint is written; while it draws."""


@dataclass(frozen=True)
class Kill:
    """A run, and the moments at which it and what goes on with it are killed: kind, and how far into it."""

    settings: tuple[str, ...]
    moments: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return f"{' '.join(self.settings)}, killed at {self.moments}"


def kills(seed: int, num: int) -> list[Kill]:
    """Returns `num` cases; every tenth is killed twice."""
    rng = random.Random(seed)
    return [
        Kill(
            SETTINGS[i % len(SETTINGS)],
            tuple((rng.choice(MOMENTS), rng.random()) for _ in range(2 if i % 10 == 9 else 1)),
        )
        for i in range(num)
    ]


def complaint(case: Kill, worker: Worker, folder: Path) -> str:
    """Kills the run, goes on with it, and returns what is wrong with how it ends, "" if nothing is."""
    settings = (*last_of_each(*TINY, STEPS, *case.settings),)
    expected, run = straight(worker, settings), folder / "run"
    for moment, share in case.moments:
        command = worker.start(folder, *go_on(run, settings))
        wait_for(moment, share, run, command, expected.seconds)
        if is_alive(command.pid):
            os.kill(command.pid, signal.SIGKILL)
        killed = command.wait(60)
        if killed.stderr or killed.returncode not in (0, -signal.SIGKILL):
            return f"before it was killed: {shown(killed)}"
    done = worker.run(folder, *go_on(run, settings))
    if done.returncode or done.stderr:
        return f"did not go on: {shown(done)}"
    return otherwise(run, expected)


def wait_for(moment: str, share: float, run: Path, command, seconds: float) -> None:
    """Waits for a moment of a command that takes about so many seconds; `share` of it is how far."""
    if moment == "any":
        time.sleep(share * seconds)
    elif moment == "run":
        until((run / "metrics.jsonl").exists, command)
        time.sleep(share * seconds / 2)
    elif moment == "write":
        until((run / "metrics.jsonl").exists, command)
        ahead = time.monotonic() + share * seconds / 4
        until(lambda: time.monotonic() > ahead and any(run.glob("checkpoints/.writing_*")), command)
        time.sleep(share % 0.1 / 10)  # up to ten milliseconds
    else:
        until(lambda: any(run.glob("checkpoints/step_0000000000240_*")), command)
        time.sleep(share * seconds / 4)


def last_of_each(*settings: str) -> list[str]:
    """Leaves out what a later setting of the same name replaces."""
    return [*{setting.partition("=")[0]: setting for setting in settings}.values()]


def main() -> int:
    return drill(__doc__, "kills: the run went on, bit-equal to one that was not killed", 100, kills, complaint)


if __name__ == "__main__":
    raise SystemExit(main())
