"""What a trunk takes while its backward pass runs, beside its operands and results: invisible from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from deepcrl.kernels.dispatch import backend
from deepcrl.kernels.eager import Trunk, Wanted


def scratch_bytes(operator: Callable[..., Any], args: tuple[Any, ...]) -> int:
    """Returns the bytes that `deepcrl::trunk_backward(*args)` allocates and frees; 0 for every other operator."""
    if operator is not torch.ops.deepcrl.trunk_backward.default:
        return 0
    grad, _, weight, bias, scale, shift, _, dense, _, _, block_layers, activation, segment, *wanted = args
    (rows, width), num_layers = grad.shape, weight.shape[0]
    kernels = backend(grad, bf16=dense.dtype == torch.bfloat16)
    first = Trunk(weight, bias, scale, shift, block_layers, activation, dense.dtype).layers(0, segment)
    recomputed = 0
    if segment < num_layers:  # what the forward pass did not keep
        per_row = (1 + wanted[1]) * width * dense.element_size() + (scale is not None) * 2 * grad.element_size()
        recomputed = segment * rows * per_row
    return recomputed + kernels.backward_scratch_bytes(grad, first, Wanted(*wanted))
