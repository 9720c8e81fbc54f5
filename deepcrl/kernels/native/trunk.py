"""The backend with torch's matmuls and everything between them fused in C++."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from deepcrl.kernels import products
from deepcrl.kernels.backend import Gradients, Saved, Trunk, Wanted
from deepcrl.kernels.eager import prepare
from deepcrl.kernels.native.build import Shape, library
from deepcrl.kernels.reference import LN_EPS

__all__ = ("backward", "backward_scratch_bytes", "forward", "prepare")
_CHUNK = 8
"""Layers per weight-gradient matmul: enough to share its cost, few enough to convert while still in cache."""


def forward(x: Tensor, trunk: Trunk, saved: Saved) -> Tensor:
    """Runs x [B, W] through `trunk`, filling the non-empty buffers of `saved`; returns a new [B, W]."""
    num_layers, dtype = trunk.weight.shape[0], trunk.weight.dtype
    call = library().forward_bf16 if dtype == torch.bfloat16 else library().forward_fp32
    shape = _shape(x, trunk)
    inputs = saved.inputs.unbind(0) if saved.inputs.numel() else 2 * (torch.empty_like(x, dtype=dtype),) * num_layers
    dense = saved.dense.unbind(0) if saved.dense.numel() else (torch.empty_like(x, dtype=dtype),) * num_layers
    inputs[0].copy_(x)
    y = torch.empty_like(x)
    for layer, weight in enumerate(trunk.weight.transpose(1, 2).unbind(0)):
        products.mm(inputs[layer], weight, out=dense[layer])
        ends_block = (layer + 1) % trunk.block_layers == 0
        out = inputs[layer + 1] if layer + 1 < num_layers else None
        call(
            shape,
            dense[layer].data_ptr(),
            *_vectors(trunk, layer),
            x.data_ptr() if ends_block else None,
            out.data_ptr() if out is not None else None,
            y.data_ptr() if ends_block else None,
            *_stats(saved, layer),
            LN_EPS,
        )
        if ends_block:
            x = y  # from the second block on the stream is updated in place
    return y


def backward(grad: Tensor, trunk: Trunk, saved: Saved, wanted: Wanted, into: Gradients) -> Tensor:
    """Takes the gradient [B, W] of the output of `trunk` to that of its input, filling `into` on the way.

    Where `wanted.x` is false the returned tensor is meaningless, since the first layer's is not computed.
    """
    num_layers, dtype = trunk.weight.shape[0], trunk.weight.dtype
    bf16 = dtype == torch.bfloat16
    inner = library().backward_bf16 if bf16 else library().backward_fp32
    outer = library().backward_bf16_stream if bf16 else library().backward_fp32
    shape = _shape(grad, trunk)
    grad = grad.clone()
    chunk = min(_CHUNK, num_layers) if wanted.weight else 1
    dz = torch.empty((chunk, *grad.shape), dtype=dtype)
    g = torch.empty_like(grad, dtype=dtype)
    sums = grad.new_empty((num_layers, torch.get_num_threads(), 3, grad.shape[1])) if wanted.vectors else None
    weights = trunk.weight.unbind(0)
    for layer in reversed(range(num_layers)):
        ends_block = (layer + 1) % trunk.block_layers == 0
        (outer if ends_block else inner)(
            shape,
            grad.data_ptr() if ends_block else g.data_ptr(),
            saved.dense.data_ptr() + layer * saved.dense.stride(0) * saved.dense.element_size(),
            *_vectors(trunk, layer),
            *_stats(saved, layer),
            dz[layer % chunk].data_ptr(),
            sums.data_ptr() + layer * 4 * sums.stride(0) if sums is not None else None,
        )
        if layer or wanted.x:
            products.mm(dz[layer % chunk], weights[layer], out=g)
        if layer % trunk.block_layers == 0:
            grad.add_(g)
        if wanted.weight and layer % chunk == 0:
            last = min(layer + chunk, num_layers)
            products.weight_gradients(dz[: last - layer], saved.inputs[layer:last], into.weight[layer:last])
    if sums is not None:
        torch.sum(sums, 1, out=into.vectors)
    return grad


def backward_scratch_bytes(grad: Tensor, trunk: Trunk, wanted: Wanted) -> int:
    """Returns the bytes that `backward` takes beside its arguments and its result."""
    num_layers, width, _ = trunk.weight.shape
    chunk = min(_CHUNK, num_layers) if wanted.weight else 1
    one, weights = products.scratch_bytes(grad.shape[0], chunk, width, trunk.dtype, grad.device)
    sums = num_layers * torch.get_num_threads() * 3 * width if wanted.vectors else 0
    kept = (chunk + 1) * grad.numel() * trunk.dtype.itemsize + 4 * sums
    return kept + max(one, weights if wanted.weight else 0)


def _shape(x: Tensor, trunk: Trunk) -> ctypes.c_void_p:
    shape = Shape(x.shape[0], x.shape[1], torch.get_num_threads(), trunk.activation == "swish")
    return ctypes.cast(ctypes.pointer(shape), ctypes.c_void_p)


def _vectors(trunk: Trunk, layer: int) -> list[int | None]:
    vectors = (trunk.bias, trunk.scale, trunk.shift)
    return [None if v is None else v.data_ptr() + layer * v.stride(0) * v.element_size() for v in vectors]


def _stats(saved: Saved, layer: int) -> tuple[int | None, int | None]:
    if not saved.stats.numel():
        return None, None
    base, rows = saved.stats.data_ptr() + layer * 8 * saved.stats.shape[2], saved.stats.shape[2]
    return base, base + 4 * rows
