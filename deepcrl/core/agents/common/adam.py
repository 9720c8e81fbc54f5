"""Adam without PyTorch's compiler."""

from __future__ import annotations

import torch

# PyTorch shields its optimisers from `torch.compile` by decorators that import the compiler when they are first called:
# two to three seconds of every start, and we compile no optimiser. What they wrap is called instead.
_STEP = torch.optim.Adam.step.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
for _name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
    _method = getattr(torch.optim.Optimizer, _name).__wrapped__
    _method.__dynamo_disable = _method


class Adam(torch.optim.Adam):
    """PyTorch's Adam, bit for bit. Its states are exchangeable with those of `torch.optim.Adam`."""

    step = torch.no_grad()(_STEP)
