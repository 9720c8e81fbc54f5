"""What a mirror of metrics.jsonl is told about the run, and how it takes the rows."""

from __future__ import annotations

from collections.abc import Mapping
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
