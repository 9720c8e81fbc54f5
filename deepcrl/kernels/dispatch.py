"""Chooses the code that runs the trunk: decided up front, from what the machine has, never by catching an exception."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from deepcrl.core.registry import suggest
from deepcrl.kernels import eager
from deepcrl.kernels.native import build
from deepcrl.kernels.native import trunk as native

KERNELS = ("auto", "eager")
_chosen = "auto"


def choose(kernels: str) -> None:
    """Sets what runs the trunk in this process: `auto`, the fastest that the machine has, or `eager`, plain torch."""
    global _chosen
    if kernels not in KERNELS:
        raise ValueError(suggest("kernels", kernels, KERNELS))
    _chosen = kernels


def backend(x: Tensor) -> ModuleType:
    """Returns the module whose `forward` and `backward` run a trunk on x [B, W]."""
    if _chosen == "auto" and x.device.type == "cpu" and x.dtype == torch.float32 and x.shape[1] <= build.MAX_WIDTH:
        return native if build.compiler() else eager
    return eager
