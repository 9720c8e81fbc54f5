"""Chooses the code that runs the trunk: decided up front, from what the machine has, never by catching an exception."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from deepcrl.core.registry import suggest
from deepcrl.kernels import eager
from deepcrl.kernels.native import build, stack
from deepcrl.kernels.native import trunk as native

KERNELS = ("auto", "eager")
_chosen = "auto"


def choose(kernels: str) -> None:
    """Sets what runs the trunk in this process: `auto`, the fastest that the machine has, or `eager`, plain torch."""
    global _chosen
    if kernels not in KERNELS:
        raise ValueError(suggest("kernels", kernels, KERNELS))
    _chosen = kernels


def backend(x: Tensor, *, bf16: bool = False) -> ModuleType:
    """Returns the module whose `prepare`, `forward` and `backward` run a trunk on x [B, W], matmuls in bf16 or not."""
    if _chosen != "auto" or x.device.type != "cpu" or x.dtype != torch.float32 or not build.compiler():
        return eager
    width = x.shape[1]
    if width % 16 == 0 and width <= build.STACK_MAX_WIDTH and build.stack_supported(bf16):
        return stack
    return native if width <= build.MAX_WIDTH else eager
