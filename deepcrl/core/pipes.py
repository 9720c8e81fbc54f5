"""Output whose reader goes away, such as `deepcrl list losses | head -1`: it ends quietly."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_without_reader() -> Iterator[None]:
    """Turns a closed pipe into exit status 141, as for every program that SIGPIPE ends, without a word.

    What is still in the buffer is written here: at the interpreter's exit, a closed pipe would be a complaint.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except BrokenPipeError:
        discard_output()
        raise SystemExit(128 + signal.SIGPIPE) from None


def discard_output() -> None:
    """Sends what is still to be written to nowhere."""
    with open(os.devnull, "w") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(nowhere.fileno(), stream.fileno())
