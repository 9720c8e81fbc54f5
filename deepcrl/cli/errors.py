"""Errors that a user can mend are one line on stderr and exit status 2; `DEEPCRL_DEBUG=1` shows the traceback."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from deepcrl.core.checkpoint import CheckpointError
from deepcrl.core.loop import NonFiniteError


class UserError(Exception):
    """Something that the user can mend; the message is one line."""


def fail(message: str) -> NoReturn:
    """Prints `message` as an error and exits with status 2."""
    print(f"deepcrl: {message}", file=sys.stderr)
    raise SystemExit(2)


@contextmanager
def user_errors() -> Iterator[None]:
    """While a run is put together, a ValueError speaks of what the user asked for; later it would be a bug."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns the errors that a user can mend into one line and exit status 2."""
    try:
        yield
    except (UserError, CheckpointError, NonFiniteError, HydraException, OmegaConfBaseException) as error:
        if os.environ.get("DEEPCRL_DEBUG"):
            raise
        fail(_one_line(error))


def _one_line(error: BaseException) -> str:
    """Flattens Hydra's multi-line messages and adds the cause where only that says what is wrong."""
    text = str(error)
    if isinstance(error, HydraException) and error.__cause__ is not None:
        text = f"{text}: {error.__cause__}"
    text = re.sub(r"\n\s*(full_key|object_type|reference_type)[:=].*", "", text)
    return re.sub(r"\s*\n\s*", " ", text).strip()
