"""Forward InfoNCE with its logsumexp penalty on pairwise energies, without a [B, B] tensor, as registered operators.

`custom_op`, as `kernels.trunk` and for its reason: one opaque node for autograd, torch.compile and opcheck.
"""

# pyright: reportArgumentType=false
# Triton types a kernel as the function it decorates, whose constexpr parameters take plain numbers at a launch.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from triton import knobs

from deepcrl.core.checks import suggest
from deepcrl.kernels.triton.infonce_kernels import gradient_kernel, rows_kernel
from deepcrl.kernels.triton.tiles import num_tiles, pair_tile, precise

ENERGIES = ("norm", "l2", "dot", "cosine")
MAX_DIM = 128
"""Widest embedding of which a tile of rows and a tile of goals fit shared memory."""


def infonce(
    sa: Tensor, g: Tensor, *, energy: str = "norm", eps: float = 1e-6, logsumexp_coef: float = 0.1
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns loss and metrics, all 0-dim, of sa [B, D] and g [B, D]: `losses.infonce(energies.pairwise(sa, g))`.

    `eps` is the energy's (`norm` and `cosine` have one). The metrics are those of the agent, by-products of one pass:
    categorical_accuracy, logits_pos, logits_neg, logsumexp. Raises ValueError where the kernels cannot run.
    """
    logsumexp, positive, total, correct = torch.ops.deepcrl.pairwise_logsumexp(sa, g, energy, eps)
    loss = (logsumexp - positive).mean() + logsumexp_coef * logsumexp.square().mean()
    size, positive = sa.shape[0], positive.detach()
    return loss, {
        "categorical_accuracy": correct.mean(),
        "logits_pos": positive.mean(),
        "logits_neg": (total - positive).sum() / max(size * (size - 1), 1),
        "logsumexp": logsumexp.detach().mean(),
    }


def unsupported(sa: Tensor, g: Tensor, energy: str) -> str | None:
    """Returns why the kernels cannot run, or None if they can."""
    if energy not in ENERGIES:
        return suggest("energy of the fused loss", energy, ENERGIES)
    if sa.ndim != 2 or sa.shape != g.shape or sa.shape[0] == 0 or not 1 <= sa.shape[1] <= MAX_DIM:
        return f"need sa and g [B, D] with B > 0 and D <= {MAX_DIM}, got {list(sa.shape)} and {list(g.shape)}"
    if sa.dtype != torch.float32 or g.dtype != torch.float32 or sa.device != g.device:
        return f"sa and g must be torch.float32 on one device, got {sa.dtype} on {sa.device}, {g.dtype} on {g.device}"
    if sa.device.type != "cuda" and not (sa.device.type == "cpu" and knobs.runtime.interpret):
        return f"the fused loss needs a GPU, and the tensors are on {sa.device}"
    return None


@torch.library.custom_op("deepcrl::pairwise_logsumexp", mutates_args=())
def pairwise_logsumexp(sa: Tensor, g: Tensor, energy: str, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns, for each row of the energies, [B] each: logsumexp, diagonal, sum, 1.0 where the diagonal is largest.

    The first two are differentiable.
    """
    if reason := unsupported(sa, g, energy):
        raise ValueError(reason)
    x, y = _centred(sa, g, energy)
    tile, num_rows = pair_tile(sa.shape[1]), sa.shape[0]
    logsumexp, positive, total, correct = (sa.new_empty(num_rows) for _ in range(4))
    rows_kernel[(num_tiles(num_rows, tile.block_m),)](
        x,
        y,
        logsumexp,
        positive,
        total,
        correct,
        num_rows,
        energy=energy,
        eps=eps,
        precision=precise(),
        dim=sa.shape[1],
        **tile.launch(),
    )
    return logsumexp, positive, total, correct


def _centred(sa: Tensor, g: Tensor, energy: str) -> tuple[Tensor, Tensor]:
    """Moves both clouds to the origin for the distances, whose expanded square cancels digits far away from it."""
    if energy in ("norm", "l2"):
        centre = g.mean(dim=0)
        return sa - centre, g - centre
    return sa.contiguous(), g.contiguous()


@pairwise_logsumexp.register_fake
def _(sa: Tensor, g: Tensor, energy: str, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = sa.shape[0]
    return sa.new_empty(rows), sa.new_empty(rows), sa.new_empty(rows), sa.new_empty(rows)


@torch.library.custom_op("deepcrl::pairwise_logsumexp_backward", mutates_args=())
def pairwise_logsumexp_backward(
    grad_logsumexp: Tensor, grad_positive: Tensor, sa: Tensor, g: Tensor, logsumexp: Tensor, energy: str, eps: float
) -> tuple[Tensor, Tensor]:
    """Returns the gradients [B, D] of sa and g from those of the logsumexp [B] and of the diagonal [B]."""
    x, y = _centred(sa, g, energy)
    grads = sa.new_empty(sa.shape), g.new_empty(g.shape)
    tile, num_rows = pair_tile(sa.shape[1]), sa.shape[0]
    for own, other, grad, transposed in ((x, y, grads[0], False), (y, x, grads[1], True)):
        gradient_kernel[(num_tiles(num_rows, tile.block_m),)](
            own,
            other,
            logsumexp,
            grad_logsumexp.contiguous(),
            grad_positive.contiguous(),
            grad,
            num_rows,
            transposed=transposed,
            energy=energy,
            eps=eps,
            precision=precise(),
            dim=sa.shape[1],
            **tile.launch(),
        )
    return grads


@pairwise_logsumexp_backward.register_fake
def _(
    grad_logsumexp: Tensor, grad_positive: Tensor, sa: Tensor, g: Tensor, logsumexp: Tensor, energy: str, eps: float
) -> tuple[Tensor, Tensor]:
    return sa.new_empty(sa.shape), g.new_empty(g.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    sa, g, ctx.energy, ctx.eps = inputs
    ctx.save_for_backward(sa, g, output[0])
    ctx.mark_non_differentiable(*output[2:])


def _backward(ctx: Any, grad_logsumexp: Tensor, grad_positive: Tensor, *_: Tensor) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    grads = torch.ops.deepcrl.pairwise_logsumexp_backward(grad_logsumexp, grad_positive, *saved, ctx.energy, ctx.eps)
    return (*grads, None, None)


pairwise_logsumexp.register_autograd(_backward, setup_context=_setup_context)
