"""Commands that are printed for people: they can be pasted into a shell as they stand, whatever a path is called."""

from __future__ import annotations

import shlex
from pathlib import Path


def command(*words: str) -> str:
    """Returns `deepcrl` with these arguments, quoted for a shell."""
    return shlex.join(["deepcrl", *words])


def setting(key: str, path: str | Path) -> str:
    """Returns the override that sets a path, quoted for a shell: `resume=runs/first`."""
    return shlex.quote(f"{key}={typed(path)}")


def typed(path: str | Path) -> str:
    """Returns a path as one has to type it: `./~x` for a name that would be read as a home, a flag or a quotation."""
    text = str(path)
    return f"./{text}" if text[:1] in ("~", "-", "'", '"') else text
