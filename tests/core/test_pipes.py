"""Output whose reader goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepcrl.run.console import Terminal, print_line

QUIET = """
import sys
from deepcrl.core.pipes import quiet_without_reader
with quiet_without_reader():
    print("x" * 100_000) if sys.argv[1] == "much" else print("little")
    if sys.argv[1] == "fails":
        raise SystemExit(2)
"""


@pytest.mark.parametrize("what", ["much", "little"])
def test_ends_quietly_when_the_reader_is_gone(what: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", QUIET, what], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("what", "code"), [("little", 0), ("fails", 2)])
def test_nothing_changes_for_one_who_reads(what: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", QUIET, what], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "little\n", "")


def test_the_usage_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    program = [sys.executable, "-c", "from deepcrl import cli; cli.main()", "--help"]
    done = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich alone would raise SystemExit in the middle of a run."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody_reads:
        monkeypatch.setattr(sys, "stdout", nobody_reads)
        terminal = Terminal(highlight=False)
        print_line(terminal, "one")
        print_line(terminal, "two")
