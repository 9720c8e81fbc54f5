"""Forward InfoNCE with its logsumexp penalty on pairwise energies, by blocks of rows: for large batches on a CPU.

The logits [B, B] of a batch of 4096 are 64 MiB, which every elementwise operation reads and writes through memory, and
of which autograd keeps several. InfoNCE is a sum over rows, so a block of rows that fits a core's cache is enough to
know its loss and its gradients; what is left of a block is added to the gradients [B, D] of the embeddings. Letters in
shapes: R rows of a block, B rows of the batch, D embedding dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_BYTES = 2**20
"""Of a block of logits [R, B]: it is passed over about ten times, so it has to stay in the cache of a core."""
MAX_BLOCKS = 256
"""Of a batch: blocks of fewer rows would cost more in calls than they save in memory."""

Gradients = tuple[Tensor, Tensor]
"""What a block adds to the gradients of its own rows [R, D], and of all goals [B, D]."""


def infonce(
    sa: Tensor, g: Tensor, *, energy: str = "norm", eps: float = 1e-6, logsumexp_coef: float = 0.1
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns loss and metrics, all 0-dim, of sa [B, D] and g [B, D]: `losses.infonce(energies.pairwise(sa, g))`.

    `eps` is the energy's (`norm` and `cosine` have one). The metrics are the agent's: categorical_accuracy, logits_pos,
    logits_neg, logsumexp.
    """
    loss, accuracy, positive, negative, logsumexp = _InfoNCE.apply(sa, g, energy, eps, logsumexp_coef)
    return loss, {
        "categorical_accuracy": accuracy,
        "logits_pos": positive,
        "logits_neg": negative,
        "logsumexp": logsumexp,
    }


class _InfoNCE(torch.autograd.Function):
    """Computes the gradients with the loss, while a block is in cache; the backward pass scales them."""

    @staticmethod
    def forward(ctx: Any, sa: Tensor, g: Tensor, energy: str, eps: float, coef: float) -> tuple[Tensor, ...]:
        block_energies, block_gradients = ENERGIES[energy]
        size = sa.shape[0]
        x, y = _centred(sa, g) if energy in ("norm", "l2") else (sa, g)
        grad_x, grad_y = torch.empty_like(x), torch.zeros_like(y)
        logsumexp, positive, total, correct = (x.new_empty(size) for _ in range(4))
        own = torch.arange(size, device=x.device)
        rows = max(1, BLOCK_BYTES // (size * x.element_size()), -(-size // MAX_BLOCKS))
        for first in range(0, size, rows):
            block = slice(first, min(first + rows, size))
            logits = block_energies(x[block], y, eps)
            diagonal = logits.diagonal(first)
            positive[block], total[block] = diagonal, logits.sum(dim=1)
            largest, index = logits.max(dim=1)
            correct[block] = index == own[block]
            # d loss / d logits: softmax times (1 + 2 coef logsumexp), minus one on the diagonal, over B
            weights = logits.sub(largest[:, None]).exp_()
            sums = weights.sum(dim=1)
            logsumexp[block] = largest.add(sums.log())
            scale = logsumexp[block].mul(2 * coef).add(1).div(sums).div(size)
            weights.mul_(scale[:, None]).diagonal(first).sub_(1 / size)
            grad_x[block], added = block_gradients(weights, logits, x[block], y, eps)
            grad_y += added
        ctx.save_for_backward(grad_x, grad_y)
        loss = logsumexp.sub(positive).mean() + coef * logsumexp.square().mean()
        negative = (total - positive).sum() / max(size * (size - 1), 1)
        outputs = loss, correct.mean(), positive.mean(), negative, logsumexp.mean()
        ctx.mark_non_differentiable(*outputs[1:])
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if (grad := grads[0]) is None:
            return (None,) * 5
        grad_x, grad_y = ctx.saved_tensors
        return grad_x * grad, grad_y * grad, None, None, None


def _centred(sa: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Moves both clouds to the origin, as `core.energies` does: an expanded square cancels digits far away from it."""
    centre = g.mean(dim=0)
    return sa - centre, g - centre


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    norms = x.square().sum(dim=1, keepdim=True) + y.square().sum(dim=1)
    return norms.addmm_(x, y.T, alpha=-2).clamp_min_(0)


def _distance_gradients(weights: Tensor, x: Tensor, y: Tensor) -> Gradients:
    """Of sum_ij weights_ij |x_i - y_j|^2."""
    grad_x = x.mul(weights.sum(dim=1, keepdim=True)).addmm_(weights, y, alpha=-1)
    grad_y = y.mul(weights.sum(dim=0)[:, None]).addmm_(weights.T, x, alpha=-1)
    return grad_x.mul_(2), grad_y.mul_(2)


def _norm(x: Tensor, y: Tensor, eps: float) -> Tensor:
    return _squared_distances(x, y).add_(eps).sqrt_().neg_()


def _norm_gradients(weights: Tensor, energies: Tensor, x: Tensor, y: Tensor, eps: float) -> Gradients:
    del eps
    return _distance_gradients(weights.div_(energies).mul_(0.5), x, y)  # d(-sqrt(s)) = ds / (2 * -sqrt(s))


def _l2(x: Tensor, y: Tensor, eps: float) -> Tensor:
    del eps
    return _squared_distances(x, y).neg_()


def _l2_gradients(weights: Tensor, energies: Tensor, x: Tensor, y: Tensor, eps: float) -> Gradients:
    del energies, eps
    return _distance_gradients(weights.neg_(), x, y)


def _dot(x: Tensor, y: Tensor, eps: float) -> Tensor:
    del eps
    return x @ y.T


def _dot_gradients(weights: Tensor, energies: Tensor, x: Tensor, y: Tensor, eps: float) -> Gradients:
    del energies, eps
    return weights @ y, weights.T @ x


def _cosine(x: Tensor, y: Tensor, eps: float) -> Tensor:
    return (x @ y.T).div_(x.norm(dim=1, keepdim=True).mul(y.norm(dim=1)).add_(eps))


def _cosine_gradients(weights: Tensor, energies: Tensor, x: Tensor, y: Tensor, eps: float) -> Gradients:
    """With n, m the norms: d(x.y / (nm + eps)) = (y - energy m x / n) dx / (nm + eps), and the same for y."""
    n, m = x.norm(dim=1, keepdim=True), y.norm(dim=1)
    weights.div_(n.mul(m).add_(eps))
    grad_x, grad_y = weights @ y, weights.T @ x
    weights.mul_(energies)
    tiny = torch.finfo(x.dtype).tiny  # a vector of zeros has no direction; its norm's gradient is 0, as PyTorch has it
    grad_x -= (weights @ m)[:, None] * x / n.clamp_min(tiny)
    grad_y -= (weights.T @ n) * y / m[:, None].clamp_min(tiny)
    return grad_x, grad_y


ENERGIES: dict[str, tuple[Callable[..., Tensor], Callable[..., Gradients]]] = {
    "norm": (_norm, _norm_gradients),
    "l2": (_l2, _l2_gradients),
    "dot": (_dot, _dot_gradients),
    "cosine": (_cosine, _cosine_gradients),
}
"""Name -> the energies [R, B] of a block, and the gradients of their sum weighted by [R, B], which is overwritten."""
