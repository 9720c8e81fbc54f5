"""Modules copied, detached from their gradients, or frozen for a while."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import nn

T = TypeVar("T")


def copied(module: T) -> T:
    """Returns a copy of a module; anything else learns nothing, and is returned as it is.

    Its tensors are cloned first: where a run is sized up they have no data, of which PyTorch's own copy would complain.
    """
    if not isinstance(module, nn.Module):
        return module
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach().clone()) for p in module.parameters()}
    memo |= {id(buffer): buffer.clone() for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


def detached(module: T) -> T:
    """Returns a module that shares the memory of this one's parameters, but computes no gradients for them.

    It sees every later step of the optimiser. Gradients of its inputs are computed. Anything else is returned as it is.
    """
    if not isinstance(module, nn.Module):
        return module
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in module.parameters()}
    memo |= {id(buffer): buffer for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Spares autograd the gradients of the modules' parameters; those of their inputs are still computed."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
