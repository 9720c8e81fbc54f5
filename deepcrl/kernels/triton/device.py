"""Functions on tiles that every kernel of the trunk shares. Naive reference: one layer of `reference.residual_trunk`.

A tile is [M, N]: M rows, N columns of which the first `width` are real (N is the next power of two). Callers load what
lies outside as 0. Statistics, bias, normalisation, activation and all gradients of them are fp32.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton import knobs

from deepcrl.kernels.reference import LN_EPS

EPS = tl.constexpr(LN_EPS)
INTERPRETED = tl.constexpr(knobs.runtime.interpret)


@triton.jit
def load_vector(pointer, columns, width: tl.constexpr):
    """Returns a parameter vector as [1, N], 0 outside."""
    return tl.load(pointer + columns, mask=columns < width, other=0.0)[None, :]


@triton.jit
def activate(u, swish: tl.constexpr):
    """Returns Swish or ReLU of u; a NaN stays one, which `maximum(u, 0)` would hide."""
    if swish:  # noqa: SIM108 (a constexpr branch, compiled or not)
        h = u / (1.0 + tl.exp(-u))
    else:
        h = tl.where(u <= 0.0, 0.0, u)
    return h


@triton.jit
def activate_backward(g, u, swish: tl.constexpr):
    """Returns the gradient of u from that of its activation."""
    if swish:
        sigmoid = 1.0 / (1.0 + tl.exp(-u))
        du = g * sigmoid * (1.0 + u * (1.0 - sigmoid))
    else:
        du = tl.where(u > 0.0, g, 0.0)
    return du


@triton.jit
def layer_forward(
    z, bias_ptr, scale_ptr, shift_ptr, columns, width: tl.constexpr, norm: tl.constexpr, swish: tl.constexpr
):
    """Takes a matmul's output [M, N] to activation [M, N], mean [M] and reciprocal deviation."""
    z += load_vector(bias_ptr, columns, width)
    mean = tl.sum(z, 1) / width
    rstd = mean
    if norm:
        centred = tl.where((columns < width)[None, :], z - mean[:, None], 0.0)
        rstd = 1.0 / tl.sqrt(tl.sum(centred * centred, 1) / width + EPS)
        z = centred * rstd[:, None] * load_vector(scale_ptr, columns, width) + load_vector(shift_ptr, columns, width)
    return activate(z, swish), mean, rstd


@triton.jit
def layer_backward(
    g,
    z,
    mean,
    rstd,
    bias_ptr,
    scale_ptr,
    shift_ptr,
    columns,
    width: tl.constexpr,
    norm: tl.constexpr,
    swish: tl.constexpr,
):
    """Takes the gradient of an activation [M, N] to those of its matmul's output z and of u = scale * z_hat + shift.

    Returns both and z_hat, the normalised z + bias.
    """
    z += load_vector(bias_ptr, columns, width)
    if norm:
        scale = load_vector(scale_ptr, columns, width)
        z_hat = (z - mean[:, None]) * rstd[:, None]
        du = activate_backward(g, z_hat * scale + load_vector(shift_ptr, columns, width), swish)
        d_hat = du * scale
        along_mean = tl.sum(d_hat, 1) / width
        along_z_hat = tl.sum(d_hat * z_hat, 1) / width
        dz = rstd[:, None] * (d_hat - along_mean[:, None] - z_hat * along_z_hat[:, None])
    else:
        z_hat = z
        du = activate_backward(g, z, swish)
        dz = du
    return dz, du, z_hat


@triton.jit
def store_vector_gradients(partial_ptr, dz, du, z_hat, columns, width: tl.constexpr, norm: tl.constexpr):
    """Writes this tile's sums over rows to partial_ptr [3, width]: gradients of bias and, with norm, scale, shift.

    The caller adds up the tiles with one `torch.sum`: two stages, a fixed order, no atomics.
    """
    inside = columns < width
    tl.store(partial_ptr + columns, tl.sum(dz, 0), mask=inside)
    if norm:
        tl.store(partial_ptr + width + columns, tl.sum(du * z_hat, 0), mask=inside)
        tl.store(partial_ptr + 2 * width + columns, tl.sum(du, 0), mask=inside)


@triton.jit
def load_tile(pointer, rows, columns, num_rows, width: tl.constexpr):
    """Returns rows x columns of a row-major [num_rows, width] tensor in fp32, 0 outside.

    `pointer` is already at the program's first row, in 64 bits; offsets within a tile fit 32, which saves registers.
    """
    inside = (rows < num_rows)[:, None] & (columns < width)[None, :]
    return tl.load(pointer + rows[:, None] * width + columns[None, :], mask=inside, other=0.0).to(tl.float32)


@triton.jit
def round_to(tile, dtype: tl.constexpr):
    """Returns the tile in `dtype`, rounded to nearest even as hardware does; the interpreter truncates bf16."""
    if INTERPRETED and dtype == tl.bfloat16:
        tile = tile.to(tl.float32)
        bits = tile.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        tile = tl.where(tile == tile, bits.to(tl.uint32).to(tl.float32, bitcast=True), tile)
    return tile.to(dtype)


@triton.jit
def store_tile(pointer, tile, rows, columns, num_rows, width: tl.constexpr):
    """Writes the real part of a tile to a row-major [num_rows, width] tensor, in that tensor's dtype."""
    inside = (rows < num_rows)[:, None] & (columns < width)[None, :]
    tl.store(pointer + rows[:, None] * width + columns[None, :], round_to(tile, pointer.dtype.element_ty), mask=inside)


@triton.jit
def matmul(
    a_ptr,
    weight_ptr,
    rows,
    columns,
    num_rows,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    transposed: tl.constexpr,
    precision: tl.constexpr,
):
    """Returns a @ weight.T (`transposed`) or a @ weight [M, N], fp32, for a [num_rows, width], weight [width, width].

    `block_k` divides `width`. The rows of `a` come from memory, not from registers: Triton cannot slice a tile of
    registers along k, and a tile of rows is small beside the weight that streams past it.
    """
    ks = tl.arange(0, block_k)
    inside, rows_inside = columns < width, (rows < num_rows)[:, None]
    acc = tl.full((block_m, block_n), 0.0, tl.float32)
    # The interpreter of Triton 3.7 multiplies the bit patterns of bf16; products of bf16 are exact in fp32.
    operand = tl.float32 if INTERPRETED else weight_ptr.dtype.element_ty
    for k in range(0, width, block_k):
        a = tl.load(a_ptr + rows[:, None] * width + (k + ks)[None, :], mask=rows_inside, other=0.0).to(operand)
        if transposed:
            w = tl.load(weight_ptr + columns[:, None] * width + (k + ks)[None, :], mask=inside[:, None], other=0.0)
            acc = tl.dot(a, tl.trans(w.to(operand)), acc, input_precision=precision)
        else:
            w = tl.load(weight_ptr + (k + ks)[:, None] * width + columns[None, :], mask=inside[None, :], other=0.0)
            acc = tl.dot(a, w.to(operand), acc, input_precision=precision)
    return acc
