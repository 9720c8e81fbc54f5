"""The table of all drills, and its exit status, with stand-ins for the drills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drill import __main__ as drill

STAND_IN = """
import sys
assert sys.argv[1:] == ["--seed", "5"]
print("case 3, a kill: {failure}")
print("{held} of 4 kills: went on")
raise SystemExit({held} < 4)
"""


@pytest.mark.parametrize(("held", "status"), [(4, 0), (3, 1)])
def test_prints_a_table_and_fails_if_one_did_not_hold(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    held: int,
    status: int,
) -> None:
    for name, holds in (("first_stand_in", 4), ("second_stand_in", held)):
        (tmp_path / f"{name}.py").write_text(STAND_IN.format(held=holds, failure="a traceback"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["drill", "--seed", "5"])
    assert drill.main(["first_stand_in", "second_stand_in"]) == status
    out = capfd.readouterr().out
    assert out.count("case 3, a kill: a traceback\n") == 2
    assert "| drill | tried | held | seconds |\n|---|---|---|---|\n| first_stand_in | 4 | 4 | " in out
    assert f"| second_stand_in | 4 | {held} | " in out


def test_a_drill_that_breaks_has_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_stand_in.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["drill"])
    assert drill.main(["broken_stand_in"]) == 1
    assert "| broken_stand_in | - | - | " in capfd.readouterr().out
