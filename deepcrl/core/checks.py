"""Checks of what a user sets: a ValueError of one line that names the setting, its value and what would do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MAX_SHOWN = 80
"""Characters of a value that a message repeats."""


def shown(value: object) -> str:
    """Returns a value as a message shows it: of one that fills the screen, its beginning."""
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"


def printable(text: str) -> str:
    """Returns a text for a terminal: what is no plain character, such as a colour's code or a newline, is spelled."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in text
    )


def suggest(kind: str, name: object, known: Iterable[str]) -> str:
    """Returns the one-line message for a name that is not in `known`, with the nearest good one."""
    options = sorted(known)
    close = difflib.get_close_matches(str(name), options, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"Unknown {kind} {shown(name)!r}.{hint} Known: {', '.join(options)}"


@contextmanager
def about(owner: str) -> Iterator[None]:
    """Names whose settings a ValueError is about: `learner 'deep': encoder.depth is 6; ...`."""
    try:
        yield
    except ValueError as error:
        if type(error) is not ValueError:  # which says more than its message
            raise
        raise ValueError(f"{owner}: {error}") from error


def one_of(kind: str, name: str, known: Iterable[str]) -> None:
    """Raises ValueError, with the nearest good one and the list, for a name that is not in `known`."""
    if name not in known:
        raise ValueError(suggest(kind, name, known))


def at_least(name: str, value: float, minimum: float) -> None:
    """Raises ValueError unless `value` is at least `minimum` (NaN is not)."""
    if not value >= minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {shown(value)}")


def at_most(name: str, value: float, maximum: float) -> None:
    """Raises ValueError unless `value` is at most `maximum` (NaN is not)."""
    if not value <= maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {shown(value)}")


def above(name: str, value: float, bound: float) -> None:
    """Raises ValueError unless `value` is greater than `bound` (NaN is not)."""
    if not value > bound:
        raise ValueError(f"{name} must be greater than {bound}, got {shown(value)}")


def share(name: str, value: float) -> None:
    """Raises ValueError unless `value` is between 0 and 1 (NaN is not)."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a share between 0 and 1, got {shown(value)}")


def discount_factor(name: str, value: float) -> None:
    """Raises ValueError unless `value` is greater than 0 and less than 1 (NaN is not)."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, got {shown(value)}")


def multiple(name: str, value: int, of: int, what: str) -> None:
    """Raises ValueError, with the nearest good values, for one that is no positive multiple of `of`, called `what`."""
    if value <= 0 or value % of:
        low = max(value // of, 0) * of
        near = f"{low} or {low + of}" if low else f"{of}"
        raise ValueError(f"{name} is {shown(value)}; it must be a positive multiple of {what}, such as {near}")
