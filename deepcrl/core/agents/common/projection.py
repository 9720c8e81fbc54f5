"""Networks whose weights stay on a surface: after every step of their optimiser they are projected back onto it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn


@runtime_checkable
class Projected(Protocol):
    """A module that moves its own parameters back, in place, by tensor operations only: a CUDA graph records them."""

    def project_(self) -> None: ...


def project_after_steps(optimizer: torch.optim.Optimizer, nets: Iterable[nn.Module]) -> None:
    """From now on every step of `optimizer` is followed by `project_` of each module in `nets` that it trains."""
    trained = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    projected = [
        module
        for net in nets
        for module in net.modules()
        if isinstance(module, Projected) and not trained.isdisjoint(module.parameters())
    ]

    def project(*_: Any) -> None:
        for module in projected:
            module.project_()

    if projected:
        optimizer.register_step_post_hook(project)
