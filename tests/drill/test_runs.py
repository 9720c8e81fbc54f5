"""A case of each drill of runs, and that what is wrong is noticed; `make drill` tries hundreds."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.drill import corruptions, crafted, disks, kills, signals
from tests.drill.cases import STEPS, TINY, Straight, Worker, otherwise


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def done(code: int, err: str = "", out: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(["deepcrl"], code, out, err)


def test_the_seed_says_which() -> None:
    for drill in (kills.kills, signals.signals, corruptions.corruptions, disks.disks):
        assert drill(3, 20) == drill(3, 20)
        assert drill(3, 20) != drill(4, 20)
    assert {case.launcher for case in signals.signals(0, 48)} == {"", *signals.LAUNCHERS}
    assert {case.verb for case in disks.disks(0, 60)} == set(disks.VERBS)
    damages = {(target, damage) for target, many, _ in corruptions.TARGETS for damage in many}
    assert len({case.damage for case in corruptions.corruptions(0, 150)}) == len({damage for _, damage in damages})


def test_a_kill_while_it_writes(worker: Worker, tmp_path: Path) -> None:
    case = kills.Kill(kills.SETTINGS[3], (("write", 0.0),))
    assert kills.complaint(case, worker, tmp_path) == ""
    rows = otherwise(tmp_path / "run", Straight([], {}, 0.0))
    assert rows.startswith("not as the straight run: rows")
    (tmp_path / "run" / "plots" / ".unfinished.curves.png").touch()
    settings = (*kills.last_of_each(*TINY, STEPS, *case.settings),)
    assert otherwise(tmp_path / "run", kills.straight(worker, settings)).startswith("left: ")


def test_two_signals(worker: Worker, tmp_path: Path) -> None:
    case = signals.Signals(kills.SETTINGS[0], "", (signal.SIGTERM, signal.SIGUSR1), 0.1, 0.0)
    assert signals.complaint(case, worker, tmp_path) == ""


def test_an_ending_that_is_wrong_is_noticed() -> None:
    case = signals.Signals((), "", (signal.SIGTERM,), 0.0, 0.0)
    begun = "Ctrl-C saves and stops; go on with: deepcrl train resume=run\n"
    assert signals.ending(case, done(143, out=begun)) == ""
    assert signals.ending(case, done(-15)) == ""
    assert signals.ending(case, done(-15, out=begun)).startswith("a status other than ")
    assert signals.ending(case, done(143, "Traceback (most recent call last):\n")).startswith("unexpected words")
    assert signals.ending(case, done(143, signals.AT_ONCE)).startswith("unexpected words")
    twice = replace(case, numbers=(signal.SIGTERM, signal.SIGINT))
    assert signals.ending(twice, done(130, signals.AT_ONCE)) == ""


@pytest.mark.parametrize(
    ("target", "damage"), [("metrics.jsonl", corruptions.line_twice), ("ring/action.bin", corruptions.flip)]
)
def test_a_corruption(worker: Worker, tmp_path: Path, target: str, damage: corruptions.Damage) -> None:
    case = corruptions.Corruption(corruptions.SETTINGS[1], target, damage, "resume", 0)
    (tmp_path / "case").mkdir()
    assert corruptions.complaint(case, worker, tmp_path / "case") == ""


def test_what_is_taken_in_silence_is_noticed(worker: Worker, tmp_path: Path) -> None:
    def none(rng: random.Random, path: Path) -> None:
        return

    case = corruptions.Corruption(corruptions.SETTINGS[1], "metrics.jsonl", none, "resume", 0)
    (tmp_path / "case").mkdir()
    assert corruptions.complaint(case, worker, tmp_path / "case") == ""
    run, (_, longer) = tmp_path / "case" / "run", corruptions._prepared[corruptions.SETTINGS[1]]
    assert corruptions.accepted(case, done(0), run, longer) == ""
    (run / "metrics.jsonl").write_bytes(b"".join((run / "metrics.jsonl").read_bytes().splitlines(keepends=True)[1:]))
    assert corruptions.accepted(case, done(0), run, longer).startswith("went on otherwise")
    before = corruptions.content(run)
    assert corruptions.refused(case, done(2, "deepcrl: run/metrics.jsonl is damaged\n"), before, run) == ""
    assert corruptions.refused(case, done(2, "deepcrl: nothing\n"), before, run).startswith("not refused in one line")
    (run / "config.yaml").unlink()
    assert corruptions.refused(case, done(2, "deepcrl: run/metrics.jsonl\n"), before, run) == (
        "refused, but changed ['config.yaml']"
    )


def test_what_is_crafted_is_wrong() -> None:
    assert not crafted.alike(None, 3)
    assert not crafted.alike(-1, 3)
    assert crafted.alike(0, 3)
    assert [key for _, key in crafted.parts_of({"a": [1, {"b": 2}]})] == ["a", 0, 1, "b"]


@pytest.mark.parametrize("refusal", ["full at once", "read-only"])
@pytest.mark.parametrize("verb", ["play", "sweep"])
def test_a_disk(worker: Worker, tmp_path: Path, verb: str, refusal: str) -> None:
    if not disks.CAN_MOUNT and refusal == "read-only":
        pytest.skip("needs the right to mount a disk: run as root on Linux")
    assert disks.complaint(disks.Disk(disks.SETTINGS[0], verb, refusal, 0.0), worker, tmp_path) == ""


def test_a_traceback_of_a_full_disk_is_noticed() -> None:
    case = disks.Disk(disks.SETTINGS[0], "play", "full", 0.0)
    assert disks.answer(case, done(2, "deepcrl: Cannot save run/videos/a.mp4: No space left on device\n")) == ""
    assert disks.answer(case, done(1, "Traceback (most recent call last):\n"))
    assert disks.answer(replace(case, disk="read-only"), done(0))
