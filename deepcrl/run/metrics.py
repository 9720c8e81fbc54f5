"""metrics.jsonl, the source of truth of a run: one row of metrics a line.

A row is a flat dict: `env_steps`, `grad_steps`, `wall_seconds`, and metrics named `group/name`. A metric that was
not measured is missing from its row, never 0.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

from deepcrl.core.files import write_atomic

COUNTERS = ("env_steps", "grad_steps", "wall_seconds")


class JsonlLogger:
    """Appends each row to `path` as one line of strict JSON, handed to the operating system before `log` returns.

    A killed process leaves at most one torn last line, which `read_rows` counts and skips. A value that is not
    finite is written as null, which JSON knows, so a diverged metric (null) is told from one never measured
    (missing); `read_rows` gives NaN back.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = open(path, "a+b")  # noqa: SIM115  closed in close()
        if self._file.tell() > 0:
            self._file.seek(-1, 2)
            if self._file.read(1) != b"\n":  # a torn line must not swallow the next row
                self._file.write(b"\n")

    def log(self, row: Mapping[str, float]) -> None:
        assert all(key in row for key in COUNTERS), f"row lacks one of {COUNTERS}"
        line = json.dumps({key: _plain(value) for key, value in row.items()}, allow_nan=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _plain(value: float) -> float | None:
    number = value if isinstance(value, int) else float(value)
    return number if math.isfinite(number) else None


def parse_row(line: bytes) -> dict[str, float] | None:
    """Returns the row of a line, None if it is torn, or holds anything but numbers, or counters that are no count."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict) or not all(_is_number(row[key]) and 0 <= row[key] < math.inf for key in COUNTERS):
            return None
        if not all(value is None or _is_number(value) for value in row.values()):
            return None
        return {key: math.nan if value is None else value for key, value in row.items()}
    except (ValueError, KeyError, RecursionError):
        return None


def _is_number(value: object) -> bool:
    """Whether it is one that a float can hold, NaN and infinity included; JSON has integers of any length."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= sys.float_info.max)


def read_rows(path: str | Path) -> tuple[list[dict[str, float]], int]:
    """Returns the rows of a JSONL file, oldest first, and the number of lines that are no row."""
    parsed = [parse_row(line) for line in Path(path).read_bytes().splitlines()]
    rows = [row for row in parsed if row is not None]
    return rows, len(parsed) - len(rows)


def num_lines(path: str | Path) -> int:
    """Returns the number of lines of a file, 0 if there is none: how many rows a run has logged."""
    path = Path(path)
    return path.read_bytes().count(b"\n") if path.exists() else 0


def cut_back(path: str | Path, env_steps: int, grad_steps: int, num_rows: int | None = None) -> str:
    """Drops the rows that lie past a checkpoint, and lines that are no row. Call it before opening a logger.

    The resumed run computes those rows again, so without this they would be there twice. The kept lines stay as
    they are, byte for byte, and an interruption leaves the file as it was. `num_rows` is how many there were at the
    checkpoint, None if it does not say. Where some of them are lost, the file is kept beside the new one, and a line
    that says so is returned; else "".
    """
    path = Path(path)
    content = path.read_bytes() if path.exists() else b""
    kept, num_damaged, lines = [], 0, content.splitlines(keepends=True)
    for line in lines:
        row = parse_row(line)
        if row is None:
            num_damaged += line.endswith(b"\n")  # a line without an end is what a killed process leaves, after the rest
        elif row["env_steps"] <= env_steps and row["grad_steps"] <= grad_steps:
            kept.append(line)
    if num_rows is None:  # every run begins with the row of the untrained policy, so some were there
        lost = f"{num_damaged} or more" if num_damaged else "" if kept or not (env_steps or grad_steps) else "all"
    else:
        lost = f"{num_rows - len(kept)} of {num_rows}" if len(kept) < num_rows else ""
    complaint = _complaint(path, lost) if lost else ""
    if complaint and content:
        aside = next(p for i in itertools.count(1) if not (p := path.with_suffix(f".damaged_{i}.jsonl")).exists())
        write_atomic(aside, content)
        complaint += f"; the file as it was: {aside}"
    if len(kept) < len(lines):
        write_atomic(path, b"".join(kept))
    return complaint


def _complaint(path: Path, lost: str) -> str:
    what = "is missing" if not path.exists() else "is damaged" if path.stat().st_size else "is empty"
    return f"{path} {what}: of the rows before the checkpoint, {lost} are lost"
