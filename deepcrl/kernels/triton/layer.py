"""Rung (b): matmul + bias + LayerNorm + activation + residual of one layer as one kernel. Reference: `eager.forward`.

A row of up to 512 columns fits one program, so the statistics need no second pass. Backward: the epilogue kernel of
`norm`, then torch's matmuls.
"""

# pyright: reportArgumentType=false
# Triton types a kernel as the function it decorates, whose constexpr parameters take plain numbers at a launch.

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from deepcrl.kernels.backend import Trunk
from deepcrl.kernels.triton.device import layer_forward, load_tile, matmul, round_to, store_tile
from deepcrl.kernels.triton.tiles import layer_tile, matmul_precision, num_tiles, vector_pointers


@triton.jit(do_not_specialize=["num_rows"], do_not_specialize_on_alignment=["stats_ptr"])
def layer_kernel(
    a_ptr,
    weight_ptr,
    bias_ptr,
    scale_ptr,
    shift_ptr,
    residual_ptr,
    out_ptr,
    cast_ptr,
    dense_ptr,
    stats_ptr,
    num_rows,
    norm: tl.constexpr,
    swish: tl.constexpr,
    residual: tl.constexpr,
    cast: tl.constexpr,
    keep: tl.constexpr,
    precision: tl.constexpr,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
):
    """One tile of rows through one layer; outputs as in `norm_forward_kernel`, and the matmul's own where `keep`."""
    rows, columns = tl.arange(0, block_m), tl.arange(0, block_n)
    first = tl.program_id(0).to(tl.int64) * block_m
    rows_left, offset = num_rows - first, first * width
    z = matmul(a_ptr + offset, weight_ptr, rows, columns, rows_left, width, block_m, block_n, block_k, True, precision)
    z = round_to(z, dense_ptr.dtype.element_ty)
    h, mean, rstd = layer_forward(z.to(tl.float32), bias_ptr, scale_ptr, shift_ptr, columns, width, norm, swish)
    if residual:
        h += load_tile(residual_ptr + offset, rows, columns, rows_left, width)
        store_tile(out_ptr + offset, h, rows, columns, rows_left, width)
    if cast:
        store_tile(cast_ptr + offset, h, rows, columns, rows_left, width)
    if keep:
        store_tile(dense_ptr + offset, z, rows, columns, rows_left, width)
        if norm:
            tl.store(stats_ptr + first + rows, mean, mask=rows < rows_left)
            tl.store(stats_ptr + num_rows + first + rows, rstd, mask=rows < rows_left)


def forward(
    a: Tensor,
    trunk: Trunk,
    residual: Tensor | None,
    out: Tensor | None,
    cast: Tensor | None,
    dense: Tensor | None,
    stats: Tensor | None,
) -> None:
    """Runs a [B, W], in the matmul dtype, through the first layer of `trunk`.

    `dense` [B, W] gets the matmul's output; `residual`, `out`, `cast` and `stats` are as in `norm.forward`.
    """
    num_rows, width = a.shape
    tile = layer_tile(num_rows, width, a.element_size())
    layer_kernel[(num_tiles(num_rows, tile.block_m),)](
        a,
        trunk.weight,
        *vector_pointers(trunk),
        trunk.bias if residual is None else residual,
        trunk.bias if out is None else out,
        a if cast is None else cast,
        a if dense is None else dense,
        trunk.bias if stats is None else stats,
        num_rows,
        norm=trunk.scale is not None,
        swish=trunk.activation == "swish",
        residual=residual is not None,
        cast=cast is not None,
        keep=dense is not None,
        precision=matmul_precision(),
        width=width,
        **tile.launch(),
    )
