"""Slips of the finger, and the words that they may have been meant to be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random


def slip(rng: Random, word: str, known: Iterable[str]) -> str:
    """Returns the word with one slip of the finger: a letter lost, doubled, wrong, or two of them swapped."""
    known = set(known)
    while True:
        i = rng.randrange(1, len(word) - 1)
        wrong = rng.choice(
            [
                word[:i] + word[i + 1 :],
                word[:i] + word[i] + word[i:],
                word[:i] + word[i + 1] + word[i] + word[i + 2 :],
                word[:i] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[i + 1 :],
            ]
        )
        if wrong not in known and not wrong.endswith("_"):
            return wrong


def nearest(wrong: str, names: Iterable[str]) -> str:
    """A pattern of the names that are one slip away: for `ant_u_mze`, `ant_u_maze` alone; for `eport`, two verbs."""
    return f"({'|'.join(re.escape(name) for name in names if is_a_slip(wrong, name))})"


def is_a_slip(wrong: str, word: str) -> bool:
    """Whether the words differ in one letter, or by two that are swapped."""
    start = same_beginning(wrong, word)
    a, b = wrong[start:], word[start:]
    end = same_beginning(a[::-1], b[::-1])
    a, b = a[: len(a) - end], b[: len(b) - end]
    return (len(a) <= 1 and len(b) <= 1) or (len(a) == 2 and a == b[::-1])


def same_beginning(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
