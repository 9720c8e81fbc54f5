"""The residual trunk as one operator, `deepcrl::trunk`: forward and backward of all layers, whatever the depth.

An opaque operator rather than a `triton_op`: the CPU path is not made of kernels that a compiler could inline, and
autograd, `torch.compile` and `opcheck` then see one node on every device, so nothing is traced per layer. Registered
with `torch.library.Library`, since what `custom_op` wraps around a function costs as much as a small trunk.
Letters in shapes: B rows, L layers, W width, K checkpoint segments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepcrl.core.checks import suggest
from deepcrl.kernels.backend import Gradients, Saved, Trunk, Wanted
from deepcrl.kernels.dispatch import backend
from deepcrl.kernels.reference import ACTIVATIONS


def residual_trunk(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    *,
    block_layers: int,
    activation: str,
    bf16: bool = False,
    checkpoint_blocks: int = 0,
) -> Tensor:
    """Returns `reference.residual_trunk(...)` [B, W] with gradients for x and for exactly the parameters that want one.

    `bf16` rounds the matmuls' inputs and outputs to bfloat16, with fp32 accumulation inside; bias, LayerNorm,
    activation and the residual stream stay in the dtype of `x`. The stream is added to once per block, so keeping it
    in fp32 costs little, while in bf16 (8 bits) a sum over 256 blocks would lose most of what late blocks add.
    `checkpoint_blocks=k` keeps only the stream every k blocks, and recomputes the rest in the backward pass.
    """
    params = (weight, bias, scale, shift)
    learns = torch.is_grad_enabled() and any(p is not None and p.requires_grad for p in params)
    save = learns or (torch.is_grad_enabled() and x.requires_grad)
    segment = (checkpoint_blocks * block_layers or weight.shape[0]) if save else weight.shape[0]
    keep = 0 if not save else 2 if learns and weight.requires_grad else 1
    return torch.ops.deepcrl.trunk.default(x, *params, block_layers, activation, bf16, segment, keep)[0]


_LIBRARY = torch.library.Library("deepcrl", "FRAGMENT")


def _register(function: Callable[..., Any]) -> None:
    """Makes `function` the operator of its name, on every device; it must not return its inputs or change them."""
    schema = torch.library.infer_schema(function, mutates_args=())
    _LIBRARY.define(function.__name__ + schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(function.__name__, function, "CompositeExplicitAutograd")


def trunk(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    block_layers: int,
    activation: str,
    bf16: bool,
    segment: int,
    keep: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns y [B, W] and what `keep` asks for: inputs, dense, stats, stream [K - 1, B, W], weight in bf16.

    `segment` is the number of layers between checkpoints; L means none. `keep`: 0 nothing, 1 what the gradient of x,
    bias, scale and shift needs, 2 also what that of the weight needs. Whatever is not kept is an empty tensor.
    """
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    scale, shift = (None if v is None else v.contiguous() for v in (scale, shift))
    _check(x, weight, bias, scale, shift, block_layers, activation)
    kernels, y = backend(x, bf16=bf16), x
    dtype = torch.bfloat16 if bf16 else x.dtype
    run = Trunk(kernels.prepare(weight, dtype), bias, scale, shift, block_layers, activation, dtype)
    saved, stream = _buffers(x, run, segment, keep)
    for index, first in enumerate(range(0, weight.shape[0], segment)):
        if index and keep:
            stream[index - 1].copy_(y)
        y = kernels.forward(y, run.layers(first, min(first + segment, weight.shape[0])), saved)
    weight_bf16 = run.weight if run.weight is not weight and keep else run.weight.new_empty(0)
    return y, saved.inputs, saved.dense, saved.stats, stream, weight_bf16


def _check(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    block_layers: int,
    activation: str,
) -> None:
    """Raises ValueError for operands that do not fit together: the C++ path takes bare pointers."""
    if activation not in ACTIVATIONS:
        raise ValueError(suggest("activation", activation, ACTIVATIONS))
    if (scale is None) != (shift is None):
        raise ValueError("scale and shift come together: both, or neither for a trunk without LayerNorm")
    if x.ndim != 2 or weight.ndim != 3 or weight.shape[0] == 0 or weight.shape[0] % block_layers:
        raise ValueError(
            f"need x [B, W] and weight [L, W, W], L a positive multiple of block_layers={block_layers};"
            f" got {list(x.shape)} and {list(weight.shape)}"
        )
    num_layers, width = weight.shape[0], x.shape[1]
    for name, tensor, shape in (
        ("weight", weight, (num_layers, width, width)),
        *((name, v, (num_layers, width)) for name, v in (("bias", bias), ("scale", scale), ("shift", shift))),
    ):
        if tensor is not None and (tensor.shape != shape or tensor.dtype != x.dtype or tensor.device != x.device):
            raise ValueError(
                f"{name} must be {list(shape)}, {x.dtype} on {x.device} as x is;"
                f" got {list(tensor.shape)}, {tensor.dtype} on {tensor.device}"
            )


def _buffers(x: Tensor, run: Trunk, segment: int, keep: int) -> tuple[Saved, Tensor]:
    """Allocates what the forward pass keeps: everything, or the stream alone where the trunk is checkpointed."""
    num_layers = run.weight.shape[0]
    checkpointed = segment < num_layers
    saved = _scratch(x, run, 0 if checkpointed or not keep else num_layers, keep)
    num_segments = -(-num_layers // segment)
    return saved, x.new_empty((num_segments - 1 if keep else 0, *x.shape))


def _scratch(x: Tensor, run: Trunk, num_layers: int, keep: int) -> Saved:
    shape = (num_layers, *x.shape)
    none = (0, *x.shape)
    return Saved(
        inputs=x.new_empty(shape if keep == 2 else none, dtype=run.dtype),
        dense=x.new_empty(shape, dtype=run.dtype),
        stats=x.new_empty((num_layers if run.scale is not None else 0, 2, x.shape[0])),
    )


_register(trunk)


@torch.library.register_fake("deepcrl::trunk", lib=_LIBRARY)
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    block_layers: int,
    activation: str,
    bf16: bool,
    segment: int,
    keep: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    dtype = torch.bfloat16 if bf16 else x.dtype
    run = Trunk(backend(x, bf16=bf16).prepare(weight, dtype), bias, scale, shift, block_layers, activation, dtype)
    saved, stream = _buffers(x, run, segment, keep)
    weight_bf16 = run.weight.new_empty(weight.shape if run.weight is not weight and keep else 0)
    return x.new_empty(x.shape), saved.inputs, saved.dense, saved.stats, stream, weight_bf16


def trunk_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    inputs: Tensor,
    dense: Tensor,
    stats: Tensor,
    stream: Tensor,
    block_layers: int,
    activation: str,
    segment: int,
    want_x: bool,
    want_weight: bool,
    want_vectors: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of x [B, W], weight [L, W, W] and (bias, scale, shift) [L, 3, W]; empty where unwanted.

    `weight` is the parameter, or what `trunk` returned for it; the gradients have the dtype of `grad`; the other
    arguments are as `trunk` left them.
    """
    scale, shift = (None if v is None else v.contiguous() for v in (scale, shift))
    bf16 = dense.dtype == torch.bfloat16
    kernels, num_layers, g = backend(grad, bf16=bf16), weight.shape[0], grad.contiguous()
    weight = kernels.prepare(weight.contiguous(), dense.dtype)
    run = Trunk(weight, bias.contiguous(), scale, shift, block_layers, activation, dense.dtype)
    grad_weight = grad.new_empty(weight.shape if want_weight else (0, *weight.shape[1:]))
    vectors = grad.new_empty((weight.shape[0] if want_vectors else 0, 3, weight.shape[1]))
    recompute = segment < num_layers
    scratch = _scratch(x, run, segment, 2 if want_weight else 1) if recompute else Saved(inputs, dense, stats)
    for first in reversed(range(0, num_layers, segment)):
        last = min(first + segment, num_layers)
        part, saved = run.layers(first, last), scratch.layers(last - first)
        if recompute:
            kernels.forward(stream[first // segment - 1] if first else x.contiguous(), part, saved)
        into = Gradients(grad_weight[first:last], vectors[first:last])
        g = kernels.backward(g, part, saved, Wanted(want_x or first > 0, want_weight, want_vectors), into)
    return g if want_x else grad.new_empty(0), grad_weight, vectors


_register(trunk_backward)


@torch.library.register_fake("deepcrl::trunk_backward", lib=_LIBRARY)
def _(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    inputs: Tensor,
    dense: Tensor,
    stats: Tensor,
    stream: Tensor,
    block_layers: int,
    activation: str,
    segment: int,
    want_x: bool,
    want_weight: bool,
    want_vectors: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        grad.new_empty(grad.shape if want_x else 0),
        grad.new_empty(weight.shape if want_weight else (0, *weight.shape[1:])),
        grad.new_empty((weight.shape[0] if want_vectors else 0, 3, weight.shape[1])),
    )


def scratch_bytes(operator: Callable[..., Any], args: tuple[Any, ...]) -> int:
    """Returns the bytes that `deepcrl::trunk_backward(*args)` allocates and frees; 0 for every other operator.

    They are beside its operands and results, so nobody sees them from outside.
    """
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


def trunk_flops(x: list[int], weight: list[int], *_: Any, **__: Any) -> int:
    """Returns the operations of `trunk`'s matmuls, from the shapes x [B, W] and weight [L, W, W]."""
    return 2 * x[0] * weight[0] * weight[1] * weight[2]


def trunk_backward_flops(grad: list[int], x: list[int], weight: list[int], *settings: Any, **_: Any) -> int:
    """Returns the operations of `trunk_backward`'s matmuls: as many for the inputs' gradients as for the weights'."""
    want_x, want_weight = settings[-3], settings[-2]
    return (bool(want_x) + bool(want_weight)) * trunk_flops(x, weight)


TRUNK_FLOPS = {torch.ops.deepcrl.trunk: trunk_flops, torch.ops.deepcrl.trunk_backward: trunk_backward_flops}
"""For `FlopCounterMode(custom_mapping=...)` of PyTorch, which hands shapes instead of tensors to a formula."""


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, bias, scale, shift, ctx.block_layers, ctx.activation, _, ctx.segment, _ = inputs
    _, saved_inputs, dense, stats, stream, weight_bf16 = output
    weight = weight_bf16 if weight_bf16.numel() else weight
    ctx.save_for_backward(x, weight, bias, scale, shift, saved_inputs, dense, stats, stream)
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)  # else autograd fills a zero tensor for each saved activation


def _backward(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    if grad is None:
        return (None,) * 10
    want_x, want_weight, *want_vectors = ctx.needs_input_grad[:5]
    settings = (ctx.block_layers, ctx.activation, ctx.segment, want_x, want_weight, any(want_vectors))
    g, grad_weight, vectors = torch.ops.deepcrl.trunk_backward.default(grad, *ctx.saved_tensors, *settings)
    grad_vectors = [vectors[:, i] if want else None for i, want in enumerate(want_vectors)]
    return (g if want_x else None, grad_weight if want_weight else None, *grad_vectors, *[None] * 5)


torch.library.register_autograd("deepcrl::trunk", _backward, setup_context=_setup_context, lib=_LIBRARY)
