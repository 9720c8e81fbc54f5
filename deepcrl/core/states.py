"""Checks of a saved state before it is taken over: ValueError, in one line, that names what does not fit.

A state may come from another version, other settings or another hand, and what is wrong in it would show only later:
`copy_` broadcasts, an optimiser takes moments of any shape, an index beyond the end waits until it is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def check_tensor(name: str, saved: Any, like: Tensor) -> None:
    """Raises ValueError unless `saved` is a tensor of the shape of `like`, and of integers or fractions as it is."""
    if not isinstance(saved, Tensor):
        raise ValueError(f"{name} is no tensor, but {type(saved).__name__}")
    if saved.shape != like.shape:
        raise ValueError(f"{name} has shape {list(saved.shape)}, not {list(like.shape)}")
    if saved.is_floating_point() != like.is_floating_point() or saved.is_complex():
        raise ValueError(f"{name} is of {saved.dtype}, not of {like.dtype}")


def check_finite(name: str, saved: Any, like: Tensor) -> None:
    """Raises ValueError as `check_tensor`, and for numbers that are not finite."""
    check_tensor(name, saved, like)
    if not bool(saved.isfinite().all()):
        raise ValueError(f"{name} is not finite")


def check_range(name: str, saved: Any, low: int, high: int) -> None:
    """Raises ValueError unless all numbers of a tensor lie between two, these included."""
    if not isinstance(saved, Tensor):
        raise ValueError(f"{name} is no tensor, but {type(saved).__name__}")
    if saved.numel() and not bool(((saved >= low) & (saved <= high)).all()):
        raise ValueError(f"{name} holds numbers outside {low} to {high}")


def check_count(name: str, saved: Any) -> None:
    """Raises ValueError unless it is a whole number from 0 on that a tensor can hold."""
    if type(saved) is not int or not 0 <= saved < 2**63:
        raise ValueError(f"{name}={saved!r} is no count")


def check_flag(name: str, saved: Any) -> None:
    """Raises ValueError unless it is true or false."""
    if type(saved) is not bool:
        raise ValueError(f"{name}={saved!r} is neither true nor false")


def check_numbers(name: str, saved: Any) -> None:
    """Raises ValueError unless it is a dict of numbers by text, such as a row of metrics; NaN is one."""
    if not isinstance(saved, dict) or not all(
        isinstance(key, str) and type(value) in (int, float) for key, value in saved.items()
    ):
        raise ValueError(f"{name} is no row of numbers")


def check_scalars(name: str, saved: Any) -> None:
    """Raises ValueError unless it is a dict of 0-dim tensors by text."""
    if not isinstance(saved, dict):
        raise ValueError(f"{name} is no dict, but {type(saved).__name__}")
    for key, value in saved.items():
        if not isinstance(key, str):
            raise ValueError(f"{name} has the key {key!r}, which is no name")
        check_tensor(f"{name}/{key}", value, torch.zeros(()))


def check_module(name: str, module: torch.nn.Module) -> None:
    """Raises ValueError if a module that has loaded a state holds numbers that are not finite."""
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            check_finite(f"{name}/{key}", value, value)


def check_optimizer(
    name: str, optimizer: torch.optim.Optimizer, before: Mapping[str, Any], saved: Mapping[str, Any]
) -> None:
    """Raises ValueError unless an optimiser that has loaded `saved` can take a step; `before` is its state until then.

    PyTorch checks the number of its parameters only.
    """
    if [group["params"] for group in saved["param_groups"]] != [group["params"] for group in before["param_groups"]]:
        raise ValueError(f"optimizer {name} is one of other parameters")
    for group, old in zip(optimizer.param_groups, before["param_groups"], strict=True):
        if missing := old.keys() - group.keys():
            raise ValueError(f"optimizer {name} lacks {', '.join(sorted(missing))}")
        for key, value in old.items():
            if key != "params" and not _alike(group[key], value):
                raise ValueError(f"optimizer {name} has {key}={group[key]!r}")
        for parameter in group["params"] if isinstance(optimizer, torch.optim.Adam) else ():
            if (state := optimizer.state.get(parameter)) is not None:
                if not isinstance(state, dict):
                    raise ValueError(f"optimizer {name} has the state {state!r}")
                for key, like in (("step", torch.zeros(())), ("exp_avg", parameter), ("exp_avg_sq", parameter)):
                    check_finite(f"optimizer {name}: {key}", state.get(key), like)


def _alike(new: Any, old: Any) -> bool:
    """Whether a setting of an optimiser is of the kind that it was: a flag, a number or several."""
    if isinstance(old, tuple | list):
        return isinstance(new, tuple | list) and len(new) == len(old) and all(map(_alike, new, old))
    if isinstance(old, bool) or old is None:
        return isinstance(new, bool) or new is old
    if isinstance(new, Tensor):
        return new.dim() == 0
    return type(new) in (int, float) and math.isfinite(new)
