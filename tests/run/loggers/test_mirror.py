"""A mirror that fails is told once and tried again later; training goes on."""

from __future__ import annotations

from typing import Any

import pytest

from deepcrl.run.loggers import mirror as module
from deepcrl.run.loggers.mirror import Tolerant


class Failing:
    def __init__(self, *errors: Exception | None) -> None:
        self.errors, self.rows = list(errors), []

    def log(self, row: Any) -> None:
        error = self.errors.pop(0)
        if error:
            raise error
        self.rows.append(row)

    def close(self) -> None:
        raise RuntimeError("no network")


def test_a_failure_is_told_once_and_tried_again_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = 0.0, []
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    mirror = Failing(None, ConnectionError("no\nroute"), RuntimeError("again"), None)
    tolerant = Tolerant(mirror, told.append)
    for now in (0.0, 10.0, 69.0, 70.0, 129.0, 130.0):
        tolerant.log({"env_steps": now})
    assert [row["env_steps"] for row in mirror.rows] == [0, 130]
    assert told == ["Failing fails (no route): training goes on, tried again each minute"]
    with pytest.raises(RuntimeError, match="no network"):  # the recorder says so
        tolerant.close()


def test_a_terminal_that_is_gone_ends_nothing() -> None:
    def gone(line: str) -> None:
        raise OSError("Input/output error")

    Tolerant(Failing(OSError("Input/output error")), gone).log({})


def test_ctrl_c_is_no_failure() -> None:
    class Stopped(Failing):
        def log(self, row: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Tolerant(Stopped(), print).log({})
