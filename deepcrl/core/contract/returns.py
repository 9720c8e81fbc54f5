"""What a loss, an energy, an encoder, a relabelling and an agent return: one check of (arguments, result) for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from deepcrl.core.contract.first_call import Check, ContractError, has_data


def loss(where: str) -> Check:
    """Of logits [B, B] -> scalar."""

    def check(args: tuple[Any, ...], result: Any) -> None:
        _check_differentiable(where, result, (), args, "a scalar")

    return check


def paired(where: str) -> Check:
    """Of sa [B, D], g [B, D], whose leading dimensions broadcast -> [B]."""

    def check(args: tuple[Any, ...], result: Any) -> None:
        shape = torch.broadcast_shapes(args[0].shape[:-1], args[1].shape[:-1])
        _check_differentiable(where, result, tuple(shape), args, "one energy for each pair of rows")

    return check


def pairwise(where: str) -> Check:
    """Of sa [B, D], g [C, D] -> [B, C]."""

    def check(args: tuple[Any, ...], result: Any) -> None:
        shape = (len(args[0]), len(args[1]))
        _check_differentiable(where, result, shape, args, "the energy of every row with every row")

    return check


def encoder(where: str, out_dim: int) -> Check:
    """Of x [B, in_dim], and the weights, of which a detached copy trains none -> [B, out_dim]."""

    def check(args: tuple[Any, ...], result: Any) -> None:
        shape = (*args[0].shape[:-1], out_dim)
        _check_differentiable(where, result, shape, args, "a vector for each row")

    return check


def relabel(where: str) -> Check:
    """steps_left [B], generator -> offset [B], of whole numbers in 1..steps_left."""

    def check(args: tuple[Any, ...], result: Any) -> None:
        steps_left = args[0]
        _check_tensor(where, result, tuple(steps_left.shape), "an offset for each of the steps left")
        if result.is_floating_point() or result.is_complex() or result.dtype is torch.bool:
            raise ContractError(f"{where} returned {result.dtype}, not torch.int64: offsets are whole numbers of steps")
        if not has_data((steps_left, result)):
            return
        outside = (result < 1) | (result > steps_left)
        if outside.any():
            offset, left = int(result[outside][0]), int(steps_left[outside][0])
            raise ContractError(
                f"{where} returned the offset {offset} where {left} steps are left, not one of 1..{left}"
            )

    return check


def act(where: str, action_dim: int) -> Check:
    """An observation of N environments -> action [N, A]."""

    def check(args: tuple[Any, ...], result: Any) -> None:
        _check_tensor(where, result, (len(args[0].state), action_dim), "an action for each environment")
        if not result.is_floating_point():
            raise ContractError(f"{where} returned {result.dtype}, not torch.float32")

    return check


def update(where: str) -> Check:
    """A batch -> metrics by name, 0-dim tensors without gradients."""

    def check(args: tuple[Any, ...], result: Any) -> None:
        del args
        if not isinstance(result, dict):
            raise ContractError(f"{where} returned {named(result)}, not a dict of metrics")
        for name, value in result.items():
            if not isinstance(name, str):
                raise ContractError(f"{where} returned a metric called {name!r}, which is no text")
            _check_tensor(f"{where}: metric {name!r}", value, (), "a scalar", verb="is")
            if value.requires_grad:
                raise ContractError(f"{where}: metric {name!r} keeps its gradient; detach it")

    return check


def named(value: Any) -> str:
    """Returns what a value is, in a few words."""
    if value is None:
        return "None"
    if isinstance(value, bool | int | float | complex):
        return f"the {type(value).__name__} {value}"
    return f"a {type(value).__name__}"


def _check_tensor(where: str, value: Any, shape: tuple[int, ...], what: str, verb: str = "returned") -> None:
    if not isinstance(value, Tensor):
        raise ContractError(f"{where} {verb} {named(value)}, not a tensor of shape {list(shape)}, {what}")
    if tuple(value.shape) != shape:
        raise ContractError(f"{where} {verb} a tensor of shape {list(value.shape)}, not {list(shape)}, {what}")


def _check_differentiable(where: str, value: Any, shape: tuple[int, ...], inputs: Iterable[Any], what: str) -> None:
    """Checks shape, type, device and gradient of a value that is computed from `inputs`."""
    _check_tensor(where, value, shape, what)
    if not value.is_floating_point():
        raise ContractError(f"{where} returned {value.dtype}, not torch.float32")
    tensors = [item for item in inputs if isinstance(item, Tensor)]
    if any(value.device != item.device for item in tensors):
        raise ContractError(f"{where} returned a tensor on {value.device}, but was given one on {tensors[0].device}")
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors) and not value.requires_grad:
        raise ContractError(
            f"{where} returned a tensor without a gradient: it was detached, or not computed from what it was given"
        )
