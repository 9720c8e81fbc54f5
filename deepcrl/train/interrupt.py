"""Ctrl-C and SIGTERM ask a run to save and stop; a second Ctrl-C stops it at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class Interrupt:
    """Context in which SIGINT and SIGTERM set `signal_number` instead of ending the process.

    The loop looks at it between gradient steps, saves, and returns. A second SIGINT raises KeyboardInterrupt.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal_number: int | None = None

    @property
    def requested(self) -> bool:
        return self.signal_number is not None

    def __enter__(self) -> Interrupt:
        self._previous = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number
