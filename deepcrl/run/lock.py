"""Keeps two processes from writing to one run directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

NAME = ".lock"


def lock(directory: Path) -> IO[str]:
    """Takes `directory` for this process until the returned file is closed or the process ends, however it ends.

    Raises ValueError if another holds it or it cannot be written. Windows has no `flock`; nothing is locked there.
    """
    while True:
        try:
            file = open(directory / NAME, "a+")  # noqa: SIM115 - open means locked
        except OSError as error:
            raise ValueError(f"Cannot write to run_dir {directory}: {error.strerror or error}") from error
        if sys.platform == "win32":
            return file
        _take(file, directory)
        if _is_at(file, directory / NAME):
            break
        file.close()  # its holder removed it just now: whoever comes next would lock another file
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _take(file: IO[str], directory: Path) -> None:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read()
        file.close()
        raise ValueError(f"{directory} is being written by another deepcrl run, process {holder}") from None


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
