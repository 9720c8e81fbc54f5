"""Rung `norm`: bias + LayerNorm + Swish or ReLU + residual add after a matmul of torch's. Reference: `eager.forward`.

Both kernels give a program `steps` tiles of whole rows.
"""

# pyright: reportArgumentType=false
# Triton types a kernel as the function it decorates, whose constexpr parameters take plain numbers at a launch.

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from deepcrl.kernels.backend import Trunk
from deepcrl.kernels.triton.device import layer_backward, layer_forward, load_tile, store_tile
from deepcrl.kernels.triton.tiles import num_tiles, row_tile, vector_pointers


@triton.jit(do_not_specialize=["num_rows"], do_not_specialize_on_alignment=["stats_ptr"])
def norm_forward_kernel(
    z_ptr,
    bias_ptr,
    scale_ptr,
    shift_ptr,
    residual_ptr,
    out_ptr,
    cast_ptr,
    stats_ptr,
    num_rows,
    norm: tl.constexpr,
    swish: tl.constexpr,
    residual: tl.constexpr,
    cast: tl.constexpr,
    keep: tl.constexpr,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    steps: tl.constexpr,
):
    """Writes activation (+ residual) to out where `residual`, and to `cast`, in that tensor's dtype, where `cast`."""
    rows, columns = tl.arange(0, block_m), tl.arange(0, block_n)
    for step in range(steps):
        first = (tl.program_id(0).to(tl.int64) * steps + step) * block_m
        rows_left, offset = num_rows - first, first * width
        z = load_tile(z_ptr + offset, rows, columns, rows_left, width)
        h, mean, rstd = layer_forward(z, bias_ptr, scale_ptr, shift_ptr, columns, width, norm, swish)
        if residual:
            h += load_tile(residual_ptr + offset, rows, columns, rows_left, width)
            store_tile(out_ptr + offset, h, rows, columns, rows_left, width)
        if cast:
            store_tile(cast_ptr + offset, h, rows, columns, rows_left, width)
        if keep and norm:
            tl.store(stats_ptr + first + rows, mean, mask=rows < rows_left)
            tl.store(stats_ptr + num_rows + first + rows, rstd, mask=rows < rows_left)


@triton.jit(do_not_specialize=["num_rows", "num_layers"], do_not_specialize_on_alignment=["stats_ptr"])
def norm_backward_kernel(
    g_ptr,
    z_ptr,
    bias_ptr,
    scale_ptr,
    shift_ptr,
    stats_ptr,
    dz_ptr,
    partial_ptr,
    num_rows,
    num_layers,
    norm: tl.constexpr,
    swish: tl.constexpr,
    vectors_wanted: tl.constexpr,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    steps: tl.constexpr,
):
    """Takes the gradient of the activation to that of z; sums those of bias, scale, shift over this program's rows."""
    rows, columns = tl.arange(0, block_m), tl.arange(0, block_n)
    inside = columns < width
    d_bias = tl.full((block_n,), 0.0, tl.float32)
    d_scale = tl.full((block_n,), 0.0, tl.float32)
    d_shift = tl.full((block_n,), 0.0, tl.float32)
    for step in range(steps):
        first = (tl.program_id(0).to(tl.int64) * steps + step) * block_m
        rows_left, offset = num_rows - first, first * width
        mean, rstd = 0.0, 0.0
        if norm:
            mean = tl.load(stats_ptr + first + rows, mask=rows < rows_left, other=0.0)
            rstd = tl.load(stats_ptr + num_rows + first + rows, mask=rows < rows_left, other=0.0)
        g = load_tile(g_ptr + offset, rows, columns, rows_left, width)
        z = load_tile(z_ptr + offset, rows, columns, rows_left, width)
        dz, du, z_hat = layer_backward(g, z, mean, rstd, bias_ptr, scale_ptr, shift_ptr, columns, width, norm, swish)
        store_tile(dz_ptr + offset, dz, rows, columns, rows_left, width)
        if vectors_wanted:
            d_bias += tl.sum(dz, 0)
            d_scale += tl.sum(du * z_hat, 0)
            d_shift += tl.sum(du, 0)
    if vectors_wanted:
        partial = partial_ptr + tl.program_id(0).to(tl.int64) * num_layers * 3 * width
        tl.store(partial + columns, d_bias, mask=inside)
        if norm:
            tl.store(partial + width + columns, d_scale, mask=inside)
            tl.store(partial + 2 * width + columns, d_shift, mask=inside)


def forward(
    z: Tensor, trunk: Trunk, residual: Tensor | None, out: Tensor | None, cast: Tensor | None, stats: Tensor | None
) -> None:
    """Finishes the first layer of `trunk` from its matmul's output z [B, W].

    `out` [B, W] gets the activation plus `residual`, both fp32, both None inside a block; `cast`, the next matmul's
    input, the same sum or the bare activation in its own dtype; `stats` [2, B] the mean and reciprocal deviation.
    """
    num_rows, width = z.shape
    tile = row_tile(width)
    norm_forward_kernel[(num_tiles(num_rows, tile.block_m * tile.steps),)](
        z,
        *vector_pointers(trunk),
        z if residual is None else residual,
        z if out is None else out,
        z if cast is None else cast,
        z if stats is None else stats,
        num_rows,
        norm=trunk.scale is not None,
        swish=trunk.activation == "swish",
        residual=residual is not None,
        cast=cast is not None,
        keep=stats is not None,
        width=width,
        **tile.launch(),
    )


def num_programs(num_rows: int, width: int) -> int:
    """Returns how many programs a launch of either kernel has for [num_rows, width]."""
    tile = row_tile(width)
    return num_tiles(num_rows, tile.block_m * tile.steps)


def partials(num_rows: int, trunk: Trunk, like: Tensor) -> Tensor:
    """Returns an empty [programs, L, 3, W] for the sums over rows of each program of the backward kernel."""
    num_layers, width, _ = trunk.weight.shape
    return like.new_empty((num_programs(num_rows, width), num_layers, 3, width))


def backward(g: Tensor, z: Tensor, trunk: Trunk, stats: Tensor | None, dz: Tensor, partial: Tensor | None) -> None:
    """Fills dz [B, W] from the gradient g [B, W] of the activation of the first layer of `trunk`.

    z is what `forward` got. `partial` [tiles, 3, W], a slice of `partials`, gets sums over rows: bias, scale, shift.
    """
    num_rows, width = z.shape
    tile = row_tile(width)
    norm_backward_kernel[(num_tiles(num_rows, tile.block_m * tile.steps),)](
        g,
        z,
        *vector_pointers(trunk),
        g if stats is None else stats,
        dz,
        g if partial is None else partial,
        num_rows,
        0 if partial is None else partial.stride(0) // (3 * width),
        norm=trunk.scale is not None,
        swish=trunk.activation == "swish",
        vectors_wanted=partial is not None,
        width=width,
        **tile.launch(),
    )
