"""No mirror."""

from __future__ import annotations

from collections.abc import Mapping

from deepcrl.core.components import LOGGERS
from deepcrl.run.loggers.mirror import LoggerInputs


@LOGGERS.register("none")
class NoMirror:
    """No mirror: metrics go to metrics.jsonl and the console only."""

    def __init__(self, inputs: LoggerInputs) -> None:
        del inputs

    def log(self, row: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass
