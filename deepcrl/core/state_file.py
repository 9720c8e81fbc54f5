"""A file of tensors and plain values, which is loaded without executing code, and is read back when it is written."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class StateError(ValueError):
    """A state cannot be written so that it can be read, or what is in a file is none; the message is half a line."""


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` to `path`.

    Raises StateError, which names the value, for one that `read` would refuse; OSError, or torch's RuntimeError, if the
    disk refuses.
    """
    try:
        with open(path, "wb") as file:  # given the path alone, torch would hide why it cannot write
            torch.save(content, file)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise StateError(_complaint(content)) from error
    try:
        read(path)
    except StateError as error:
        raise StateError(_complaint(content)) from error


def read(path: Path) -> dict[str, Any]:
    """Returns what was written to `path`, on the CPU, its tensors mapped; StateError for anything else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    except Exception as error:  # a crafted file may make the unpickler fail in any way
        raise StateError("holds more than tensors and plain values") from error
    if not isinstance(content, dict):
        raise StateError("holds no state")
    return content


def _complaint(content: dict[str, Any]) -> str:
    name, value = _unreadable(content, "") or ("the state", content)
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return f"{name} is a {kind}, which could not be loaded again; save tensors, numbers, texts, and dicts and lists"


def _unreadable(value: Any, name: str) -> tuple[str, Any] | None:
    """Returns the first value inside `value` that `read` would refuse, with its name, None if there is none."""
    if type(value) is dict:
        parts = [(f"{name}/{key}".removeprefix("/"), entry) for key, entry in value.items()]
        parts += [(f"a key of {name}", key) for key in value]
    elif type(value) in (list, tuple):
        parts = [(f"{name}/{index}", entry) for index, entry in enumerate(value)]
    else:
        return None if type(value) is Tensor or _comes_back(value) else (name, value)
    return next((found for part, entry in parts if (found := _unreadable(entry, part))), None)


def _comes_back(value: Any) -> bool:
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:  # whatever a user's object raises when it is pickled, or PyTorch when it is read
        return False
    return True
