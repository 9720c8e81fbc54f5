"""Which numbers of an environment can be trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LARGEST = 2.0**24
"""float32 holds 24 bits: beyond this it cannot tell x from x + 1, so an entry in metres, radians or their rates says
nothing at the scale of a goal. MuJoCo itself calls a simulation unstable only beyond 1e10."""


def is_usable(values: Tensor) -> Tensor:
    """Returns which rows of `values` [N, D] are finite and at most `LARGEST` in every entry: [N] bool.

    On a CPU by numpy, whose one thread does not wake torch's: those would spin on processors that the physics needs.
    """
    if values.device.type != "cpu":
        return (values.abs() <= LARGEST).all(dim=1)
    array = np.from_dlpack(values)  # shares the memory
    # NaN is the largest and the smallest of all, and compares as False
    if not array.size or (array.max() <= LARGEST and array.min() >= -LARGEST):
        return torch.ones(len(values), dtype=torch.bool)
    return torch.from_numpy((array.max(axis=1) <= LARGEST) & (array.min(axis=1) >= -LARGEST))


def first_unusable(values: Tensor) -> tuple[int, int]:
    """Returns row and column of the first entry of `values` [N, D] that is not usable; there must be one."""
    bad = ~(values.detach().cpu().double().abs().numpy() <= LARGEST)
    row, column = np.argwhere(bad)[0]
    return int(row), int(column)
