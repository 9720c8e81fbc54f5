"""The backend in C++ with one native call, and one parallel region, for a whole forward or backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.kernels.backend import Gradients, Saved, Trunk, Wanted
from deepcrl.kernels.native.build import Job, Stack, stack_library
from deepcrl.kernels.reference import LN_EPS


def prepare(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns the weights as `Trunk` holds them: in fp32, for either precision, since packing them converts."""
    return weight.float()


def forward(x: Tensor, trunk: Trunk, saved: Saved) -> Tensor:
    """Runs x [B, W] through `trunk`, filling the non-empty buffers of `saved`; returns a new [B, W]."""
    library, bf16 = stack_library(), trunk.dtype == torch.bfloat16
    stack, y = _stack(x, trunk), torch.empty_like(x)
    scratch = x.new_empty(library.stack_forward_scratch(stack, bf16), dtype=torch.uint8)
    run = library.stack_forward_bf16 if bf16 else library.stack_forward_fp32
    kept = (saved.inputs, saved.dense, saved.stats)
    run(stack, x.data_ptr(), y.data_ptr(), *map(_pointer, kept), scratch.data_ptr())
    return y


def backward(grad: Tensor, trunk: Trunk, saved: Saved, wanted: Wanted, into: Gradients) -> Tensor:
    """Takes the gradient [B, W] of the output of `trunk` to that of its input, filling `into` on the way.

    Where `wanted.x` is false the returned tensor is meaningless, since the first layer's is not computed.
    """
    library, bf16 = stack_library(), trunk.dtype == torch.bfloat16
    stack, grad = _stack(grad, trunk), grad.clone()
    weight, vectors = into.weight if wanted.weight else None, into.vectors if wanted.vectors else None
    tensors = (saved.inputs, saved.dense, saved.stats, grad, weight, vectors)
    job = Job(*map(_pointer, tensors), wanted.x)
    scratch = grad.new_empty(library.stack_backward_scratch(stack, job, bf16), dtype=torch.uint8)
    (library.stack_backward_bf16 if bf16 else library.stack_backward_fp32)(stack, job, scratch.data_ptr())
    return grad


def backward_scratch_bytes(grad: Tensor, trunk: Trunk, wanted: Wanted) -> int:
    """Returns the bytes that `backward` takes beside its arguments and its result."""
    stack = Stack(*_sizes(grad, trunk), trunk.activation == "swish", None, None, None, None, LN_EPS)
    job = Job(grad_weight=wanted.weight or None, grad_vectors=wanted.vectors or None, want_x=wanted.x)
    return stack_library().stack_backward_scratch(stack, job, trunk.dtype == torch.bfloat16)


def _stack(x: Tensor, trunk: Trunk) -> Stack:
    vectors = (trunk.weight, trunk.bias, trunk.scale, trunk.shift)
    return Stack(*_sizes(x, trunk), trunk.activation == "swish", *map(_pointer, vectors), LN_EPS)


def _sizes(x: Tensor, trunk: Trunk) -> tuple[int, ...]:
    return (*x.shape, trunk.weight.shape[0], trunk.block_layers, torch.get_num_threads())


def _pointer(tensor: Tensor | None) -> int | None:
    """Returns the address, None for a tensor that is not there or is empty."""
    return None if tensor is None else tensor.data_ptr() or None
