"""Signals ask a run to save and stop; a second Ctrl-C stops it at once."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any


class Interrupted(Exception):  # noqa: N818  no error
    """An evaluation was given up because a signal asked the run to stop."""


class Interrupt:
    """Context in which SIGNALS set `signal_number` instead of ending the process.

    The loop looks at it between environment steps and between gradient steps, saves, and returns. A second SIGINT
    raises KeyboardInterrupt, once: from then on SIGINT is ignored and SIGTERM ends the process, so that further ones
    cannot break into the clearing up. A SIGHUP that was ignored before, as under nohup, stays ignored. One context may
    be entered again inside itself; the outermost counts.
    """

    # Ctrl-C, schedulers, a closed terminal, and the warnings of clusters; Windows lacks the last three
    NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}
        self._depth = 0
        self._at_once = False
        self._breaks_off = False

    @property
    def requested(self) -> bool:
        return self.signal_number is not None

    def __enter__(self) -> Interrupt:
        if self._depth == 0:
            for number in self.SIGNALS:
                if number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._handle)
        self._depth += 1
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth == 0 and not self._at_once:
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    def raise_if_requested(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self.requested:
            raise Interrupted

    @contextlib.contextmanager
    def breaking_off(self) -> Iterator[None]:
        """Within it, where all work is saved, the next signal raises KeyboardInterrupt; further ones are ignored."""
        self._breaks_off = True
        try:
            yield
        finally:
            self._breaks_off = False

    def hand_on(self) -> None:
        """Gives the signal to whoever handled it before, now that the run is saved.

        A cluster's launcher answers its own signal by putting the job back into the queue, and ends the process.
        """
        handler = self._previous.get(self.signal_number or 0)
        if callable(handler) and handler is not signal.default_int_handler:
            handler(self.signal_number, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._breaks_off:
            self.signal_number = number
            for further in self._previous:
                signal.signal(further, signal.SIG_IGN)
            raise KeyboardInterrupt
        if self.requested and number == signal.SIGINT:
            self._at_once = True
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            raise KeyboardInterrupt
        self.signal_number = number
