"""Rung `stack`: one program carries a tile of rows through all layers. Naive reference: `reference.residual_trunk`.

Rows are independent of each other, so programs never wait for one another: no grid synchronisation, one launch for any
depth. Weights stream through shared memory from L2, where all programs find them. The residual stream lives in
registers; the input of each matmul is written once (it is what the weight gradient needs) and read back by the program
that wrote it. `debug_barrier` orders those writes and reads among the threads of a program.
"""

# pyright: reportArgumentType=false
# Triton types a kernel as the function it decorates, whose constexpr parameters take plain numbers at a launch.

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from deepcrl.kernels.backend import Gradients, Saved, Trunk
from deepcrl.kernels.triton.device import (
    layer_backward,
    layer_forward,
    load_tile,
    matmul,
    round_to,
    store_tile,
    store_vector_gradients,
)
from deepcrl.kernels.triton.tiles import matmul_precision, matmul_tile, num_tiles, vector_pointers


@triton.jit(do_not_specialize=["num_rows", "num_blocks"])
def stack_forward_kernel(
    x_ptr,
    y_ptr,
    weight_ptr,
    bias_ptr,
    scale_ptr,
    shift_ptr,
    inputs_ptr,
    dense_ptr,
    stats_ptr,
    num_rows,
    num_blocks,
    block_layers: tl.constexpr,
    norm: tl.constexpr,
    swish: tl.constexpr,
    keep_inputs: tl.constexpr,
    keep: tl.constexpr,
    precision: tl.constexpr,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
):
    """One tile of rows, all layers; unless `keep_inputs`, the inputs of one layer overwrite those of the last."""
    rows, columns = tl.arange(0, block_m), tl.arange(0, block_n)
    first = tl.program_id(0).to(tl.int64) * block_m
    rows_left, offset = num_rows - first, first * width
    x = load_tile(x_ptr + offset, rows, columns, rows_left, width)
    for block in range(num_blocks):
        h = x
        for i in range(block_layers):
            layer = tl.cast(block, tl.int64) * block_layers + i
            layer_inputs = inputs_ptr + offset
            if keep_inputs:
                layer_inputs += layer * num_rows * width
            store_tile(layer_inputs, h, rows, columns, rows_left, width)
            tl.debug_barrier()
            weight = weight_ptr + layer * width * width
            z = matmul(
                layer_inputs, weight, rows, columns, rows_left, width, block_m, block_n, block_k, True, precision
            )
            tl.debug_barrier()
            z = round_to(z, dense_ptr.dtype.element_ty)
            vectors = layer * width
            h, mean, rstd = layer_forward(
                z.to(tl.float32),
                bias_ptr + vectors,
                scale_ptr + vectors,
                shift_ptr + vectors,
                columns,
                width,
                norm,
                swish,
            )
            if keep:
                store_tile(dense_ptr + layer * num_rows * width + offset, z, rows, columns, rows_left, width)
                if norm:
                    stats = stats_ptr + layer * 2 * num_rows + first + rows
                    tl.store(stats, mean, mask=rows < rows_left)
                    tl.store(stats + num_rows, rstd, mask=rows < rows_left)
        x += h
    store_tile(y_ptr + offset, x, rows, columns, rows_left, width)


@triton.jit(do_not_specialize=["num_rows", "num_blocks"])
def stack_backward_kernel(
    grad_ptr,
    grad_x_ptr,
    weight_ptr,
    bias_ptr,
    scale_ptr,
    shift_ptr,
    dense_ptr,
    stats_ptr,
    grad_dense_ptr,
    partial_ptr,
    num_rows,
    num_blocks,
    block_layers: tl.constexpr,
    norm: tl.constexpr,
    swish: tl.constexpr,
    weight_wanted: tl.constexpr,
    vectors_wanted: tl.constexpr,
    precision: tl.constexpr,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
):
    """Backwards: fills grad_dense [L, B, W] ([B, W] unless `weight_wanted`) and partial [tiles, L, 3, W]."""
    rows, columns = tl.arange(0, block_m), tl.arange(0, block_n)
    tile = tl.program_id(0).to(tl.int64)
    first = tile * block_m
    rows_left, offset = num_rows - first, first * width
    num_layers = tl.cast(num_blocks, tl.int64) * block_layers
    grad = load_tile(grad_ptr + offset, rows, columns, rows_left, width)
    for block in range(num_blocks):
        g = grad
        for i in range(block_layers):
            layer = num_layers - 1 - (tl.cast(block, tl.int64) * block_layers + i)
            vectors, stats = layer * width, stats_ptr + layer * 2 * num_rows + first + rows
            mean, rstd = 0.0, 0.0
            if norm:
                mean = tl.load(stats, mask=rows < rows_left, other=0.0)
                rstd = tl.load(stats + num_rows, mask=rows < rows_left, other=0.0)
            z = load_tile(dense_ptr + layer * num_rows * width + offset, rows, columns, rows_left, width)
            dz, du, z_hat = layer_backward(
                g,
                z,
                mean,
                rstd,
                bias_ptr + vectors,
                scale_ptr + vectors,
                shift_ptr + vectors,
                columns,
                width,
                norm,
                swish,
            )
            if vectors_wanted:
                partial = partial_ptr + (tile * num_layers + layer) * 3 * width
                store_vector_gradients(partial, dz, du, z_hat, columns, width, norm)
            grad_dense = grad_dense_ptr + offset
            if weight_wanted:
                grad_dense += layer * num_rows * width
            store_tile(grad_dense, dz, rows, columns, rows_left, width)
            tl.debug_barrier()
            weight = weight_ptr + layer * width * width
            g = matmul(grad_dense, weight, rows, columns, rows_left, width, block_m, block_n, block_k, False, precision)
            tl.debug_barrier()
        grad += g
    store_tile(grad_x_ptr + offset, grad, rows, columns, rows_left, width)


def forward(x: Tensor, trunk: Trunk, saved: Saved) -> Tensor:
    """`eager.forward` in one launch."""
    num_rows, width = x.shape
    y, weight = x.new_empty(x.shape), trunk.weight
    keep_inputs = saved.inputs.numel() > 0
    tile = matmul_tile(num_rows, width, weight.element_size())
    stack_forward_kernel[(num_tiles(num_rows, tile.block_m),)](
        x,
        y,
        weight,
        *vector_pointers(trunk),
        saved.inputs if keep_inputs else weight.new_empty(x.shape),
        saved.dense if saved.dense.numel() else weight,
        saved.stats if saved.stats.numel() else x,
        num_rows,
        weight.shape[0] // trunk.block_layers,
        block_layers=trunk.block_layers,
        norm=trunk.scale is not None,
        swish=trunk.activation == "swish",
        keep_inputs=keep_inputs,
        keep=saved.dense.numel() > 0,
        precision=matmul_precision(),
        width=width,
        **tile.launch(),
    )
    return y


def num_programs(num_rows: int, width: int, itemsize: int) -> int:
    """Returns how many programs a launch of either kernel has for [num_rows, width], `itemsize` bytes an operand."""
    return num_tiles(num_rows, matmul_tile(num_rows, width, itemsize).block_m)


def backward_chain(
    grad: Tensor, trunk: Trunk, saved: Saved, grad_dense: Tensor, into: Gradients | None, *, weight_wanted: bool
) -> Tensor:
    """Returns the gradient of the trunk's input [B, W] in one launch, filling grad_dense on the way.

    grad_dense is [L, B, W], or [1, B, W] where no weight gradient is wanted; `into.vectors` is filled unless None.
    """
    num_rows, width = grad.shape
    grad_x, weight = grad.new_empty(grad.shape), trunk.weight
    tile = matmul_tile(num_rows, width, weight.element_size())
    tiles = num_programs(num_rows, width, weight.element_size())
    partial = grad.new_empty((tiles if into else 0, weight.shape[0], 3, width))
    stack_backward_kernel[(tiles,)](
        grad,
        grad_x,
        weight,
        *vector_pointers(trunk),
        saved.dense,
        saved.stats if saved.stats.numel() else grad,
        grad_dense,
        partial if into else grad,
        num_rows,
        weight.shape[0] // trunk.block_layers,
        block_layers=trunk.block_layers,
        norm=trunk.scale is not None,
        swish=trunk.activation == "swish",
        weight_wanted=weight_wanted,
        vectors_wanted=into is not None,
        precision=matmul_precision(),
        width=width,
        **tile.launch(),
    )
    if into:
        sum_partials(partial, trunk, into)
    return grad_x


def sum_partials(partial: Tensor, trunk: Trunk, into: Gradients) -> None:
    """Second stage of the reduction: partial [tiles, L, 3, W] -> into.vectors [L, 3, W], or bias alone without norm."""
    written = 3 if trunk.scale is not None else 1
    into.vectors[:, :written] = partial[:, :, :written].sum(0)
