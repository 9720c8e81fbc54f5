"""States of runs with something wrong in them, and a digest that fits."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

GONE = object()
WRONG = (None, "many", [1], {}, -1, 10**30, float("nan"), torch.zeros(3, 7, 5), torch.zeros(0), GONE)


def craft(rng: random.Random, path: Path) -> None:
    """Puts something wrong into the state of a checkpoint's `state.pt`, and signs it."""
    content = torch.load(path, weights_only=True)
    parts = list(parts_of(content["run"]))
    parent, key = rng.choice(parts)
    wrong = [value for value in WRONG if not alike(value, parent[key])]
    if isinstance(key, int):  # what an optimiser keeps of a parameter, and need not
        wrong.remove(GONE)
    if isinstance(parent[key], Tensor) and parent[key].is_floating_point() and parent[key].numel():
        wrong += [torch.full_like(parent[key], torch.nan)] * 3
    value = rng.choice(wrong)
    if value is GONE:
        del parent[key]
    else:
        parent[key] = value
    torch.save(content, path)
    meta = json.loads((path.parent / "meta.json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / "meta.json").write_text(json.dumps(meta | {"sha256": digest}))


def parts_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields every container inside a state with each of its keys."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from parts_of(value[key])


def alike(new: Any, old: Any) -> bool:
    """Whether a value could stand for another one as well."""
    if isinstance(new, Tensor) or isinstance(old, Tensor):
        return isinstance(new, Tensor) and isinstance(old, Tensor) and new.shape == old.shape
    number = (int, float)
    return new == old or (isinstance(new, number) and isinstance(old, number) and new == new and 0 <= new < 2**31)
