"""Pairwise energies reduced as they are made, [B, B] never in memory. Reference: `core.energies`, `core.losses`.

Forward: one program per tile of rows passes over all goals with an online logsumexp. Backward: the tiles are computed
again; one launch gathers the gradient of the state-actions by rows, one that of the goals by columns, so that no two
programs add to the same place. Sizes: B pairs, `dim` embedding dimension.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_embeddings(pointer, rows, rows_left, dim: tl.constexpr, block_d: tl.constexpr):
    """Returns rows [M, block_d] of a [B, dim] tensor whose first row the pointer is at; 0 outside."""
    ds = tl.arange(0, block_d)
    inside = (rows < rows_left)[:, None] & (ds < dim)[None, :]
    return tl.load(pointer + rows[:, None] * dim + ds[None, :], mask=inside, other=0.0)


@triton.jit
def energy_of(x, y, energy: tl.constexpr, eps: tl.constexpr, precision: tl.constexpr):
    """Returns energies [M, N] of x [M, D] and y [N, D], and what the gradient needs beside them.

    That is: for the distances the square before it is clamped at 0, for the cosine its denominator.
    """
    inner = tl.dot(x, tl.trans(y), input_precision=precision)
    xx, yy = tl.sum(x * x, 1)[:, None], tl.sum(y * y, 1)[None, :]
    if energy == "dot":
        value, extra = inner, inner
    elif energy == "cosine":
        extra = tl.sqrt(xx) * tl.sqrt(yy) + eps
        value = inner / extra
    else:
        extra = xx + yy - 2.0 * inner
        squared = tl.where(extra < 0.0, 0.0, extra)
        if energy == "norm":  # noqa: SIM108 (a constexpr branch, compiled or not)
            value = -tl.sqrt(squared + eps)
        else:
            value = -squared
    return value, extra


@triton.jit
def energy_backward(grad, value, extra, x, y, energy: tl.constexpr):
    """Returns u [M, N], v [M] such that the gradient of x is u @ y + v * x, from that of the energies [M, N]."""
    if energy == "dot":
        u, v = grad, tl.sum(grad, 1) * 0.0
    elif energy == "cosine":
        xx, yy = tl.sum(x * x, 1), tl.sum(y * y, 1)
        u = grad / extra
        v = -tl.sum(u * value * tl.sqrt(yy)[None, :], 1) / tl.where(xx > 0.0, tl.sqrt(xx), 1.0)
    else:
        w = grad * -2.0
        if energy == "norm":
            w = grad / value
        w = tl.where(extra < 0.0, 0.0, w)
        u, v = -w, tl.sum(w, 1)
    return u, v


@triton.jit(do_not_specialize=["num_rows"])
def rows_kernel(
    sa_ptr,
    g_ptr,
    logsumexp_ptr,
    positive_ptr,
    total_ptr,
    correct_ptr,
    num_rows,
    energy: tl.constexpr,
    eps: tl.constexpr,
    precision: tl.constexpr,
    dim: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_d: tl.constexpr,
):
    """Per row i of the logits: logsumexp, L_ii, sum, and 1 where L_ii is the (first) largest."""
    rows, columns = tl.arange(0, block_m), tl.arange(0, block_n)
    first = tl.program_id(0).to(tl.int64) * block_m
    x = load_embeddings(sa_ptr + first * dim, rows, num_rows - first, dim, block_d)
    largest = tl.full((block_m,), float("-inf"), tl.float32)
    before = tl.full((block_m,), float("-inf"), tl.float32)
    after = tl.full((block_m,), float("-inf"), tl.float32)
    scaled = tl.full((block_m,), 0.0, tl.float32)
    total = tl.full((block_m,), 0.0, tl.float32)
    positive = tl.full((block_m,), 0.0, tl.float32)
    for start in range(0, num_rows, block_n):
        start = tl.cast(start, tl.int64)
        y = load_embeddings(g_ptr + start * dim, columns, num_rows - start, dim, block_d)
        logits, _ = energy_of(x, y, energy, eps, precision)
        inside = (columns < num_rows - start)[None, :]
        side = (start + columns)[None, :] - (first + rows)[:, None]
        masked = tl.where(inside, logits, float("-inf"))
        new_largest = tl.maximum(largest, tl.max(masked, 1))
        scaled = scaled * tl.exp(largest - new_largest) + tl.sum(tl.exp(masked - new_largest[:, None]), 1)
        largest = new_largest
        total += tl.sum(tl.where(inside, logits, 0.0), 1)
        positive += tl.sum(tl.where(side == 0, logits, 0.0), 1)
        before = tl.maximum(before, tl.max(tl.where(side < 0, masked, float("-inf")), 1))
        after = tl.maximum(after, tl.max(tl.where(side > 0, masked, float("-inf")), 1))
    at = first + rows
    inside = at < num_rows
    tl.store(logsumexp_ptr + at, largest + tl.log(scaled), mask=inside)
    tl.store(positive_ptr + at, positive, mask=inside)
    tl.store(total_ptr + at, total, mask=inside)
    tl.store(correct_ptr + at, ((positive > before) & (positive >= after)).to(tl.float32), mask=inside)


@triton.jit(do_not_specialize=["num_rows"])
def gradient_kernel(
    own_ptr,
    other_ptr,
    logsumexp_ptr,
    grad_logsumexp_ptr,
    grad_positive_ptr,
    grad_own_ptr,
    num_rows,
    transposed: tl.constexpr,
    energy: tl.constexpr,
    eps: tl.constexpr,
    precision: tl.constexpr,
    dim: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_d: tl.constexpr,
):
    """Gradient [B, dim] of `own` (state-actions, or goals where `transposed`), over all of `other`.

    dL_ij = softmax_ij * grad_logsumexp_i + [i = j] * grad_positive_i.
    """
    rows, columns = tl.arange(0, block_m), tl.arange(0, block_n)
    first = tl.program_id(0).to(tl.int64) * block_m
    own_inside = rows < num_rows - first
    x = load_embeddings(own_ptr + first * dim, rows, num_rows - first, dim, block_d)
    grad = tl.full((block_m, block_d), 0.0, tl.float32)
    along_x = tl.full((block_m,), 0.0, tl.float32)
    for start in range(0, num_rows, block_n):
        start = tl.cast(start, tl.int64)
        other_inside = columns < num_rows - start
        y = load_embeddings(other_ptr + start * dim, columns, num_rows - start, dim, block_d)
        value, extra = energy_of(x, y, energy, eps, precision)
        if transposed:
            at, inside = start + columns, other_inside
        else:
            at, inside = first + rows, own_inside
        logsumexp = tl.load(logsumexp_ptr + at, mask=inside, other=0.0)
        grad_logsumexp = tl.load(grad_logsumexp_ptr + at, mask=inside, other=0.0)
        grad_positive = tl.load(grad_positive_ptr + at, mask=inside, other=0.0)
        axis: tl.constexpr = 0 if transposed else 1
        diagonal = (start + columns)[None, :] == (first + rows)[:, None]
        softmax = tl.exp(value - tl.expand_dims(logsumexp, axis))
        d_logits = softmax * tl.expand_dims(grad_logsumexp, axis)
        d_logits += tl.where(diagonal, tl.expand_dims(grad_positive, axis), 0.0)
        d_logits = tl.where(own_inside[:, None] & other_inside[None, :], d_logits, 0.0)
        u, v = energy_backward(d_logits, value, extra, x, y, energy)
        grad = tl.dot(u, y, grad, input_precision=precision)
        along_x += v
    grad += along_x[:, None] * x
    ds = tl.arange(0, block_d)
    inside = own_inside[:, None] & (ds < dim)[None, :]
    tl.store(grad_own_ptr + first * dim + rows[:, None] * dim + ds[None, :], grad, mask=inside)
