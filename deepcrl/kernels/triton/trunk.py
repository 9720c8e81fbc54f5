"""The backend on a GPU, in one of two forms, called rungs.

`norm`: torch's matmul, then one kernel per layer. `stack`: one kernel for all layers. `forward` and `backward` may be
called only where `unsupported` returns None, as `dispatch` checks.
"""

from __future__ import annotations

import torch
from torch import Tensor
from triton import knobs

from deepcrl.core.checks import suggest
from deepcrl.kernels.backend import Gradients, Saved, Trunk, Wanted
from deepcrl.kernels.eager import prepare
from deepcrl.kernels.triton import norm, stack
from deepcrl.kernels.triton.tiles import MAX_FUSED_WIDTH, MAX_WIDTH

__all__ = [
    "backward",
    "backward_scratch_bytes",
    "choose_rung",
    "forward",
    "prepare",
    "unsupported",
    "unsupported_device",
    "unsupported_width",
]

RUNGS = ("norm", "stack")


def unsupported(x: Tensor) -> str | None:
    """Returns why the kernels cannot run a trunk on x [B, W], or None if they can."""
    if x.dtype != torch.float32:
        return f"the residual stream must be torch.float32, not {x.dtype}"
    return unsupported_device(x.device) or unsupported_width(x.shape[1])


def unsupported_device(device: torch.device) -> str | None:
    """Returns why no trunk can run on `device`, or None."""
    if device.type == "cuda" or (device.type == "cpu" and knobs.runtime.interpret):
        return None
    return f"it needs a GPU, and the device is {device}"


def unsupported_width(width: int) -> str | None:
    """Returns why no trunk of this width can run, or None."""
    if width % 16 == 0 and 16 <= width <= MAX_WIDTH:
        return None
    return f"the width must be a multiple of 16 up to {MAX_WIDTH}, not {width}"


def choose_rung(width: int, rung: str | None = None) -> str:
    """Returns the rung for this width, or the one asked for; ValueError for one that does not exist or fit."""
    hip = torch.version.hip is not None
    if rung is None:
        return "norm" if width > MAX_FUSED_WIDTH or hip else "stack"
    if rung not in RUNGS:
        raise ValueError(suggest("rung", rung, RUNGS))
    if rung == "stack" and width > MAX_FUSED_WIDTH:
        raise ValueError(f"rung {rung!r} holds whole rows in registers: width {width} is above {MAX_FUSED_WIDTH}")
    if rung == "stack" and hip:
        raise ValueError("rung 'stack' needs stores ordered by a barrier, which Triton does not do on AMD")
    return rung


def forward(x: Tensor, trunk: Trunk, saved: Saved, *, rung: str | None = None) -> Tensor:
    """Runs x [B, W] through `trunk`, filling the non-empty buffers of `saved`; returns a new [B, W]."""
    rung = choose_rung(x.shape[1], rung)
    if x.shape[0] == 0:
        return x.clone()
    return stack.forward(x, trunk, saved) if rung == "stack" else _layer_by_layer(x, trunk, saved)


def _layer_by_layer(x: Tensor, trunk: Trunk, saved: Saved) -> Tensor:
    num_layers, dtype = trunk.weight.shape[0], trunk.weight.dtype
    inputs = saved.inputs if saved.inputs.numel() else None
    a = x.to(dtype) if inputs is None else inputs[0].copy_(x)
    for index in range(num_layers):
        last_of_block = (index + 1) % trunk.block_layers == 0
        residual, out = (x, x.new_empty(x.shape)) if last_of_block else (None, None)
        cast = None
        if index + 1 < num_layers:
            cast = a.new_empty(a.shape) if inputs is None else inputs[index + 1]
        dense = saved.dense[index] if saved.dense.numel() else None
        stats = saved.stats[index] if saved.stats.numel() else None
        one = trunk.layers(index, index + 1)
        z = torch.mm(a, one.weight[0].T) if dense is None else torch.mm(a, one.weight[0].T, out=dense)
        norm.forward(z, one, residual, out, cast, stats)
        x, a = (x if out is None else out), (a if cast is None else cast)
    return x


def backward(
    grad: Tensor, trunk: Trunk, saved: Saved, wanted: Wanted, into: Gradients, *, rung: str | None = None
) -> Tensor:
    """Takes the gradient [B, W] of the output of `trunk` to that of its input, filling `into` on the way.

    Where `wanted.x` is false the returned tensor is meaningless. All weight gradients are one batched matmul.
    """
    rung = choose_rung(grad.shape[1], rung)
    if grad.shape[0] == 0:
        into.weight.zero_()
        into.vectors.zero_()
        return grad.clone()
    grad_dense = torch.empty_like(saved.dense if wanted.weight else saved.dense[:1])
    if rung == "stack":
        vectors = into if wanted.vectors else None
        grad = stack.backward_chain(grad, trunk, saved, grad_dense, vectors, weight_wanted=wanted.weight)
    else:
        grad = _backward_layer_by_layer(grad, trunk, saved, wanted, grad_dense, into)
    if wanted.weight:
        _weight_gradient(grad_dense, saved.inputs, into.weight)
    return grad


def backward_scratch_bytes(grad: Tensor, trunk: Trunk, wanted: Wanted, *, rung: str | None = None) -> int:
    """Returns the bytes that `backward` takes beside its arguments and its result."""
    num_layers, width, _ = trunk.weight.shape
    rung, itemsize = choose_rung(width, rung), trunk.dtype.itemsize
    nbytes = (num_layers if wanted.weight else 1) * grad.numel() * itemsize
    if rung != "stack":
        nbytes += grad.numel() * (itemsize + grad.element_size())  # the gradients of one layer and of one block
    if wanted.vectors:
        rows = grad.shape[0]
        programs = stack.num_programs(rows, width, itemsize) if rung == "stack" else norm.num_programs(rows, width)
        nbytes += (programs + 1) * num_layers * 3 * width * grad.element_size()  # and the sum over programs
    if wanted.weight and itemsize < grad.element_size() and not _sums_into_fp32(grad.device):
        nbytes += num_layers * width * width * itemsize
    return nbytes


def _backward_layer_by_layer(
    grad: Tensor, trunk: Trunk, saved: Saved, wanted: Wanted, grad_dense: Tensor, into: Gradients
) -> Tensor:
    partial = norm.partials(grad.shape[0], trunk, grad) if wanted.vectors else None
    g = grad
    for index in reversed(range(trunk.weight.shape[0])):
        if (index + 1) % trunk.block_layers == 0:
            g = grad
        one = trunk.layers(index, index + 1)
        dz = grad_dense[index if wanted.weight else 0]
        stats = saved.stats[index] if saved.stats.numel() else None
        norm.backward(g, saved.dense[index], one, stats, dz, None if partial is None else partial[:, index])
        if index or wanted.x:
            g = torch.mm(dz, one.weight[0])
        if index % trunk.block_layers == 0:
            grad = grad + g
    if partial is not None:
        stack.sum_partials(partial, trunk, into)
    return grad


def _weight_gradient(grad_dense: Tensor, inputs: Tensor, into: Tensor) -> None:
    """Fills into [L, W, W], fp32, with grad_dense [L, B, W] transposed times inputs [L, B, W].

    On CUDA the fp32 sums become fp32 gradients; elsewhere the product is first rounded to the operands' dtype.
    """
    if grad_dense.dtype == into.dtype:
        torch.bmm(grad_dense.transpose(1, 2), inputs, out=into)
    elif _sums_into_fp32(grad_dense.device):
        torch.bmm(grad_dense.transpose(1, 2), inputs, out_dtype=into.dtype, out=into)
    else:
        into.copy_(torch.bmm(grad_dense.transpose(1, 2), inputs))


def _sums_into_fp32(device: torch.device) -> bool:
    """Whether a matmul of bf16 operands can write its fp32 sums."""
    return device.type == "cuda" and torch.version.hip is None
