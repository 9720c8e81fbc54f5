"""Adam without PyTorch's compiler, and the projection of weights that stay on a surface after each of its steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

# PyTorch shields its optimisers from `torch.compile` by decorators that import the compiler when they are first called:
# two to three seconds, and we compile no optimiser. What they wrap is called instead.
_STEP = torch.optim.Adam.step.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
for _name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
    _method = getattr(torch.optim.Optimizer, _name).__wrapped__
    _method.__dynamo_disable = _method


class Adam(torch.optim.Adam):
    """PyTorch's Adam, bit for bit. Its states are exchangeable with those of `torch.optim.Adam`."""

    step = torch.no_grad()(_STEP)


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
