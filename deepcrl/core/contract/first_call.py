"""Checks the first call of a function, a method or a module, and gets out of the way.

A function stands behind an object from then on; a method and a module are exactly as they were. Results pass through
untouched. Calls on tensors without data, by which a run is sized up, are checked too, but do not count as the first.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn


class ContractError(ValueError):
    """A component takes or returns what its kind must not; the message is one line."""


Check = Callable[[tuple[Any, ...], Any], None]
"""(arguments, result) -> nothing, or an error"""

_lock = threading.Lock()  # an agent may call a method in two threads
_armed: dict[tuple[type, str], Any] = {}
"""What a class had under a method's name before: a function, or None if it inherits it."""


class CheckedFunction:
    """A function whose first call is checked."""

    def __init__(self, where: str, function: Callable[..., Any], check: Check) -> None:
        self._where = where
        self._function, self._check = function, check
        self._call = self._first

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def _first(self, *args: Any) -> Any:
        versions = _versions(args)
        result = self._function(*args)
        _check_unchanged(self._where, args, versions)
        self._check(args, result)
        if has_data((*args, result)):
            self._call = self._function
        return result


def check_method(where: str, cls: type, name: str, check: Check) -> None:
    """Checks the next call of the method, of whatever instance: agents copy what they are given."""

    def first(self: Any, *args: Any, **kwargs: Any) -> Any:
        _restore(cls, name)
        versions = _versions(args)
        result = getattr(self, name)(*args, **kwargs)
        _check_unchanged(where, args, versions)
        check(args, result)
        if not has_data((*args, result)):
            check_method(where, cls, name, check)
        return result

    _restore(cls, name)
    _armed[cls, name] = vars(cls).get(name)
    setattr(cls, name, first)


def _restore(cls: type, name: str) -> None:
    with _lock:
        if (cls, name) not in _armed:
            return
        before = _armed.pop((cls, name))
        if before is None:
            delattr(cls, name)
        else:
            setattr(cls, name, before)


def check_forward(module: nn.Module, check: Check) -> None:
    """Checks the next forward pass of the module, and of each copy of it that is made before."""

    def first(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        check((*args, *module.parameters()), result)
        if has_data((*args, result)):
            module._forward_hooks.pop(handle.id, None)  # the handle knows the module, but not its copies

    handle = module.register_forward_hook(first)


def _versions(args: tuple[Any, ...]) -> list[int]:
    """Returns how often each tensor has been written to."""
    return [t._version for value in args for t in _tensors(value)]


def _check_unchanged(where: str, args: tuple[Any, ...], versions: list[int]) -> None:
    if _versions(args) != versions:
        raise ContractError(f"{where} changed in place what it was given, which others still read; work on a clone")


def has_data(values: Iterable[Any]) -> bool:
    """Whether all tensors in `values`, and one level below, have numbers: neither on `meta` nor fake."""
    return all(type(t) in (Tensor, nn.Parameter) and t.device.type != "meta" for v in values for t in _tensors(v))


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, dict):
        inner: Iterable[Any] = value.values()
    elif dataclasses.is_dataclass(value):
        inner = [getattr(value, field.name) for field in dataclasses.fields(value)]
    else:
        inner = [value]
    return [item for item in inner if isinstance(item, Tensor)]
