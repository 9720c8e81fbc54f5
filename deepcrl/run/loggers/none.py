"""No mirror."""

from __future__ import annotations

from collections.abc import Mapping

from deepcrl.core.components import LOGGERS
from deepcrl.run.loggers.mirror import RunInfo


@LOGGERS.register("none")
class NoMirror:
    """No mirror: metrics go to metrics.jsonl and the console only."""

    def __init__(self, run_info: RunInfo) -> None:
        del run_info

    def log(self, row: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass
