"""Matrix products of the CPU backends. On a processor without bf16 instructions those of bf16 are computed in fp32.

PyTorch's take 10 to 50 times as long there. The operands are the same rounded ones, and the sums are fp32 in any case.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from deepcrl.kernels.native.build import processor

BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Of /proc/cpuinfo: x86 says either of the first two, ARM the last."""


def bf16_is_fast(device: torch.device) -> bool:
    """Whether the device has instructions for products of bf16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(BF16_FLAGS & _cpu_flags())


@functools.cache
def _cpu_flags() -> frozenset[str]:
    return frozenset(processor().split())


def mm(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Returns a @ b [M, N] in the dtype of both, in `out` if that is given."""
    if not _in_fp32(a.dtype, a.device):
        return torch.mm(a, b, out=out)
    product = torch.mm(a.float(), b.float())
    return product.to(a.dtype) if out is None else out.copy_(product)


def weight_gradients(dz: Tensor, inputs: Tensor, out: Tensor) -> None:
    """Fills `out` [L, N, K] with dz [L, B, N] transposed times inputs [L, B, K]."""
    if _in_fp32(dz.dtype, dz.device):
        for of_layer, z, x in zip(out.unbind(0), dz.unbind(0), inputs.unbind(0), strict=True):
            of_layer.copy_(torch.mm(z.float().T, x.float()))
    elif out.dtype == dz.dtype:
        torch.bmm(dz.transpose(1, 2), inputs, out=out)
    else:
        out.copy_(torch.bmm(dz.transpose(1, 2), inputs))


def scratch_bytes(rows: int, num_layers: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[int, int]:
    """Returns the bytes that `mm` of [rows, width] and [width, width] takes, and that `weight_gradients` takes."""
    if _in_fp32(dtype, device):
        one = 4 * (2 * rows * width + width * width)
        return one, one
    return 0, num_layers * width * width * dtype.itemsize if dtype == torch.bfloat16 else 0


def _in_fp32(dtype: torch.dtype, device: torch.device) -> bool:
    return dtype == torch.bfloat16 and device.type in ("cpu", "meta") and not bf16_is_fast(torch.device("cpu"))
