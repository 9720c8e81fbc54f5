"""Chooses the backend of the trunk, from the setting `kernels` and the machine. No error leads to another backend."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

import torch
from torch import Tensor

from deepcrl.core.checks import suggest
from deepcrl.kernels import blocked_infonce, eager
from deepcrl.kernels.backend import Backend
from deepcrl.kernels.native import build, stack
from deepcrl.kernels.native import trunk as native
from deepcrl.kernels.products import bf16_is_fast

KERNELS = ("auto", "eager", "triton")
BLOCKED_FROM = 1024
"""Batch size from which InfoNCE is computed by blocks of rows on a CPU: its logits then are 4 MiB or more."""
_chosen = "auto"


def choose(kernels: str) -> None:
    """Sets what runs the trunk, and InfoNCE, in this process.

    `auto`: on a CPU the fastest backend available, and InfoNCE by blocks of rows for large batches; on a GPU plain
    torch, since the Triton kernels have not been timed on one (docs/kernels.md). `eager`: plain torch. `triton`: the
    Triton kernels, or an error where they cannot run; with them InfoNCE is fused with the energies that its kernel
    supports (`core.agents.common.contrastive_loss`).
    """
    global _chosen
    if kernels not in KERNELS:
        raise ValueError(suggest("kernels", kernels, KERNELS))
    _chosen = kernels


@contextmanager
def chosen(kernels: str) -> Iterator[None]:
    """Runs the trunk by `kernels` inside, and by what was chosen before again after it."""
    before = _chosen
    choose(kernels)
    try:
        yield
    finally:
        choose(before)


def check(kernels: str, device: torch.device) -> None:
    """Raises ValueError if `kernels` cannot run on `device`. Computes nothing."""
    if kernels == "triton":
        _refuse(_triton().unsupported_device(device))


def check_width(width: int) -> None:
    """Raises ValueError if the chosen kernels cannot run a trunk of this width on any device."""
    if _chosen == "triton":
        _refuse(_triton().unsupported_width(width))


def backend(x: Tensor, *, bf16: bool = False) -> Backend:
    """Returns the backend that runs a trunk on x [B, W], with matmuls in bf16 or not.

    Raises ValueError if `triton` was chosen and cannot run it.
    """
    if _chosen == "triton":
        kernels = _triton()
        _refuse(kernels.unsupported(x))
        return cast(Backend, kernels)
    if _chosen != "auto" or x.device.type not in ("cpu", "meta") or x.dtype != torch.float32 or not build.compiler():
        return eager
    width = x.shape[1]
    if width % 16 == 0 and width <= build.STACK_MAX_WIDTH and build.stack_supported(bf16):
        return stack
    return native if width <= build.MAX_WIDTH else eager


def precision(name: str, device: torch.device) -> str:
    """Returns the setting `precision` as it is for the device: `auto` is bf16 where that is fast, else fp32."""
    return name if name != "auto" else "bf16" if bf16_is_fast(device) else "fp32"


def fused_infonce(
    batch_size: int, device: torch.device, embedding_dim: int
) -> Callable[..., tuple[Tensor, dict[str, Tensor]]] | None:
    """Returns what computes InfoNCE without the logits [B, B], if that is chosen and pays, or None.

    Triton's kernel where Triton kernels were chosen and take embeddings that wide; on a CPU blocks of rows, for batches
    whose logits outgrow the cache.
    """
    if _chosen == "triton":
        from deepcrl.kernels.triton import infonce

        return infonce.infonce if embedding_dim <= infonce.MAX_DIM else None
    blocked = _chosen == "auto" and device.type == "cpu" and batch_size >= BLOCKED_FROM
    return blocked_infonce.infonce if blocked else None


def _triton() -> ModuleType:
    if importlib.util.find_spec("triton") is None:
        _refuse("the package triton is not installed")
    from deepcrl.kernels.triton import trunk

    return trunk


def _refuse(reason: str | None) -> None:
    if reason:
        raise ValueError(f"kernels=triton: {reason}")
