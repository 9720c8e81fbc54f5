"""What a mirror of metrics.jsonl is told about the run, how it takes the rows, and what happens if it fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Logger(Protocol):
    """Takes metric rows as they come."""

    def log(self, row: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LoggerInputs:
    """What a mirror needs to know about the run: its directory, its name and its resolved configuration."""

    run_dir: Path
    name: str
    config: dict[str, Any]


class Tolerant:
    """A mirror whose failure does not end the run: it is told once, and tried again RETRY_SECONDS later.

    The rows in between are missing in the mirror; metrics.jsonl has them all.
    """

    RETRY_SECONDS = 60.0

    def __init__(self, mirror: Logger, tell: Callable[[str], object]) -> None:
        self.mirror, self._tell = mirror, tell
        self._told, self._again_at = False, -float("inf")

    def log(self, row: Mapping[str, float]) -> None:
        if time.monotonic() < self._again_at:
            return
        try:
            self.mirror.log(row)
        except Exception as error:
            self._again_at = time.monotonic() + self.RETRY_SECONDS
            if not self._told:
                self._told = True
                reason = " ".join(str(error).split()) or type(error).__name__
                with contextlib.suppress(OSError):  # of a terminal that is gone
                    self._tell(
                        f"{type(self.mirror).__name__} fails ({reason}): training goes on, tried again each minute"
                    )

    def close(self) -> None:
        self.mirror.close()
