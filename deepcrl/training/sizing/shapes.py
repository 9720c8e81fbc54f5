"""Tensors that have a shape, a dtype and a storage to count, but no data: they compute nothing and take no memory.

PyTorch's own, `FakeTensorMode`, imports its compiler and a computer algebra system first: two seconds at the start of
every run. Where nothing is compiled and every shape is a number, meta tensors that pass for the CPU's are enough.
"""

from __future__ import annotations

import importlib
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

META, CPU = torch.device("meta"), torch.device("cpu")


class ShapeTensor(Tensor):
    """A tensor on the CPU, as far as anybody can see, of which `meta` has the shape and the strides."""

    meta: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def __new__(cls, meta: Tensor) -> ShapeTensor:
        tensor = Tensor._make_wrapper_subclass(
            cls, meta.size(), meta.stride(), meta.storage_offset(), dtype=meta.dtype, device=CPU
        )
        tensor.meta = meta
        return tensor

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        with ShapesOnly():
            return func(*args, **(kwargs or {}))


class ShapesOnly(TorchDispatchMode):
    """Makes every tensor that is built while it is active a `ShapeTensor`.

    Constants, and what is computed of constants alone, are real. Raises RuntimeError, as PyTorch's `meta` tensors do,
    where somebody asks for a value.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # would import the compiler, to tell it not to compile this

    def __torch_dispatch__(
        self,
        func: Any,
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        known: dict[int, ShapeTensor] = {}
        any_tensor = False

        def to_meta(value: Any) -> Any:
            nonlocal any_tensor
            if isinstance(value, ShapeTensor):
                known[id(value.meta)] = value
                return value.meta
            any_tensor = any_tensor or isinstance(value, Tensor)
            return value

        args, named = tree_map(to_meta, args), tree_map(to_meta, named)
        if any_tensor and not known:
            return func(*args, **named)  # a constant
        if "device" in named or (not known and _takes_device(func)):
            named["device"] = META
        if known and any_tensor:
            args, named = tree_map(_real_to_meta, args), tree_map(_real_to_meta, named)

        def from_meta(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            tensor = known[id(value)] if id(value) in known else ShapeTensor(value)
            if tensor.shape != value.shape:
                raise RuntimeError(f"{func} changes the shape of a tensor in place, which one without data cannot")
            return tensor

        try:
            return tree_map(from_meta, func(*args, **named))
        except NotImplementedError:
            if func._schema.returns:
                raise
            return None  # what it changes keeps its shape


def _always(value: Any) -> bool:
    return bool(value)


def _equal(a: Any, b: Any) -> bool:
    return a == b


COMPILER = {
    "torch._dynamo": {"disable": lambda function, *_, **__: function},
    "torch.fx.experimental.symbolic_shapes": {
        **dict.fromkeys(("expect_true", "guard_or_false", "guard_or_true", "guard_size_oblivious"), _always),
        **{"statically_known_true": _always, "sym_eq": _equal, "sym_not": operator.not_},
        **{"sym_and": lambda *values: all(values), "sym_or": lambda *values: any(values)},
        **{"is_nested_int": lambda value: False, "free_unbacked_symbols": lambda value: set[Any]()},
        **{"has_guarding_hint": lambda value: True, "guarding_hint_or_throw": lambda value: value, "guard_int": int},
    },
    "torch.utils._sympy.functions": {"Max": max},
    "sympy": {"Basic": type("Basic", (), {})},
}
"""What PyTorch's formulas for shapes take of its compiler, as it is where every shape is a number."""


class _StandIn(ModuleType):
    """Passes for a module that takes long to import; imports it if something else of it is needed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def without_the_compiler() -> Iterator[None]:
    """Keeps PyTorch's formulas for shapes from importing its compiler, unless that is imported already."""
    stand_ins = {name: _StandIn(name) for name in COMPILER if name not in sys.modules}
    for name, module in stand_ins.items():
        vars(module).update(COMPILER[name])
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _takes_device(func: Any) -> bool:
    return any(argument.name == "device" for argument in func._schema.arguments)


def _real_to_meta(value: Any) -> Any:
    return value.to(META) if isinstance(value, Tensor) else value
