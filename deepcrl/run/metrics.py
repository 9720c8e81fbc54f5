"""metrics.jsonl, the source of truth of a run: one row of metrics a line.

A row is a flat dict: `env_steps`, `grad_steps`, `wall_seconds`, and metrics named `group/name`. A metric that was
not measured is missing from its row, never 0.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepcrl.core.files import damaged_name, write_atomic

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


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run has logged, and what, by which a checkpoint knows its rows again."""

    num_rows: int
    sha256: str


def mark(path: str | Path) -> Mark:
    """Returns the mark of the rows that are in a file, which need not be there."""
    path = Path(path)
    content = path.read_bytes() if path.exists() else b""
    return Mark(content.count(b"\n"), hashlib.sha256(content).hexdigest())


def cut_back(path: str | Path, env_steps: int, grad_steps: int, at: Mark | None = None) -> str:
    """Drops the rows that lie past a checkpoint, and lines that are no row. Call it before opening a logger.

    The resumed run computes those rows again, so without this they would be there twice. The kept lines stay as
    they are, byte for byte, and an interruption leaves the file as it was. `at` is the file's mark at the checkpoint,
    None if it does not say. Where rows are lost or not what they were, the file is kept beside the new one, and a line
    that says so is returned; else "". Raises OSError if there is something else in its place.
    """
    path = Path(path)
    if path.is_symlink() and not path.exists():  # to a disk that is not there, perhaps
        raise OSError(f"{path} is a symbolic link that leads nowhere")
    content = path.read_bytes() if path.exists() else b""
    lines = content.splitlines(keepends=True)
    complaint = ""
    if at and hashlib.sha256(b"".join(lines[: at.num_rows])).hexdigest() == at.sha256:
        kept = lines[: at.num_rows]
    else:
        kept, lost = _rows_until(lines, env_steps, grad_steps, at)
        complaint = _complaint(path, lost) if lost else ""
    if complaint and content:
        aside = damaged_name(path)
        write_atomic(aside, content)
        complaint += f"; the file as it was: {aside}"
    if kept != lines:
        write_atomic(path, b"".join(kept))
    return complaint


def _rows_until(lines: list[bytes], env_steps: int, grad_steps: int, at: Mark | None) -> tuple[list[bytes], str]:
    """Returns the lines that hold rows until a checkpoint, in order and once, and what is the matter with them."""
    kept: dict[tuple[float, float], bytes] = {}
    num_damaged = 0
    for line in lines:
        row = parse_row(line)
        if row is None:
            num_damaged += line.endswith(b"\n")  # a line without an end is what a killed process leaves, after the rest
        elif row["env_steps"] <= env_steps and row["grad_steps"] <= grad_steps:
            kept.setdefault((row["env_steps"], row["grad_steps"]), line)
    lost = ""
    if at is None:  # every run begins with the row of the untrained policy, so some were there
        has_begun = env_steps or grad_steps
        lost = f"{num_damaged} or more are lost" if num_damaged else "" if kept or not has_begun else "all are lost"
    elif len(kept) < at.num_rows:
        lost = f"{at.num_rows - len(kept)} of {at.num_rows} are lost"
    else:
        lost = "some are not what they were"
    return [line for _, line in sorted(kept.items())], lost


def _complaint(path: Path, lost: str) -> str:
    what = "is missing" if not path.exists() else "is damaged" if path.stat().st_size else "is empty"
    return f"{path} {what}: of the rows before the checkpoint, {lost}"
