"""Files that are there whole or not at all, whatever interrupts the writing."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

UNFINISHED = ".unfinished.*"
"""What a file is called until it is whole; a killed process leaves it."""


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives the path of a file to write, which becomes `path` only when it is complete and on disk.

    Whatever interrupts the writing, `path` holds its old content or all of the new. Raises OSError with one line
    that names `path` (a full disk, no permission), after removing the unfinished file.
    """
    path = Path(path)
    # Beside `path`, for os.replace cannot cross file systems; one fixed name, so that a killed process leaves at
    # most one stray file, which the next write replaces. The ending stays: encoders choose the format by it.
    unfinished = path.with_name(UNFINISHED.replace("*", path.name))
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise OSError(f"Cannot save {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a binary file for writing that becomes `path` as `replacing` says. Errors: as there."""
    with replacing(path) as unfinished, open(unfinished, "wb") as file:
        yield file


def damaged_name(path: Path) -> Path:
    """Returns a name beside that of a damaged file, under which it can be kept."""
    names = (path.with_suffix(f".damaged_{number}{path.suffix}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def user_path(text: str) -> Path:
    """Returns the path that a user typed, `~` and `~name` expanded."""
    return Path(os.path.expanduser(text))


def write_atomic(path: str | Path, content: str | bytes) -> None:
    """Writes `content` (text as UTF-8) to `path` in full or not at all. Errors: as `atomic_file`."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
