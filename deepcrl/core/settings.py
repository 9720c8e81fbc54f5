"""Nested settings under dotted keys: `encoder.depth` is the entry `depth` of the dict `encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def split_key(key: str) -> tuple[str, str]:
    """Returns the first part of a dotted key and the rest: `encoder` and `depth`; the rest is "" without a dot."""
    first, _, rest = key.partition(".")
    return first, rest


def flatten(values: Mapping[str, Any], *, levels: int | None = None) -> dict[str, Any]:
    """Returns nested settings under dotted keys of at most `levels` parts (None: of any number).

    An empty dict is a value: it has no keys of its own.
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value and levels != 1:
            below = flatten(value, levels=levels and levels - 1)
            flat |= {f"{key}.{rest}": entry for rest, entry in below.items()}
        else:
            flat[key] = value
    return flat


def lookup(values: Mapping[str, Any], key: str) -> Any:
    """Returns the value at a dotted key, None if there is none."""
    value: Any = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def updated(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested settings with the values of `changes`, by dotted key, in order; `values` stays as it is.

    A dict that a key needs on its way and that is not there is added.
    """
    new = dict(values)
    for key, value in changes.items():
        first, rest = split_key(key)
        below = new.get(first)
        new[first] = updated(below if isinstance(below, Mapping) else {}, {rest: value}) if rest else value
    return new
