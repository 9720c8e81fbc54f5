"""The contrastive loss of a batch of embeddings, and how well their logits tell the positive pairs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepcrl.core.agents.common.inputs import FusedInfoNCE
from deepcrl.core.energies import Cosine, Dot, Energy, Norm, SquaredL2
from deepcrl.core.losses.infonce import infonce
from deepcrl.core.losses.weighted import weighted

Loss = Callable[[Tensor], Tensor]
"""logits [B, B] -> scalar"""
FUSED_ENERGIES: dict[type, str] = {Norm: "norm", SquaredL2: "l2", Dot: "dot", Cosine: "cosine"}
"""What the fused kernel calls them."""


def contrastive_loss(
    energy: Energy,
    loss: Loss,
    sa: Tensor,
    g: Tensor,
    *,
    fused: FusedInfoNCE | None = None,
    weight: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the loss of sa [B, D] and g [B, D], whose rows belong together, and its metrics, all 0-dim.

    Where there is a fused kernel, InfoNCE of the energies in `FUSED_ENERGIES` never writes the logits [B, B] to memory;
    any other loss or energy goes through them. Which of the two is decided by what they are, before anything runs.
    `weight` [B] is of the rows, for a loss that takes it (`losses.weighted`) and no kernel does.
    """
    if weight is not None:
        of_rows = weighted(loss)
        assert of_rows, "the agent has checked it"
        logits = energy.pairwise(sa, g)
        return of_rows(logits, weight), logit_metrics(logits.detach())
    if fused and type(energy) in FUSED_ENERGIES and _is_infonce(loss):
        return fused(sa, g, **_kernel_options(energy, loss))
    logits = energy.pairwise(sa, g)
    return loss(logits), logit_metrics(logits.detach())


def _is_infonce(loss: Loss) -> bool:
    return (loss.func if isinstance(loss, functools.partial) else loss) is infonce


def _kernel_options(energy: Energy, loss: Loss) -> dict[str, Any]:
    options: dict[str, Any] = {"energy": FUSED_ENERGIES[type(energy)]}
    if hasattr(energy, "eps"):
        options["eps"] = getattr(energy, "eps")  # noqa: B009 - no attribute of every energy
    return options | (loss.keywords if isinstance(loss, functools.partial) else {})


def logit_metrics(logits: Tensor) -> dict[str, Tensor]:
    """How well logits [B, B] tell the positive pairs, on the diagonal, from the negative ones."""
    size = logits.shape[0]
    positive = logits.diagonal()
    correct = logits.argmax(dim=1) == torch.arange(size, device=logits.device)
    return {
        "categorical_accuracy": correct.float().mean(),
        "logits_pos": positive.mean(),
        "logits_neg": (logits.sum() - positive.sum()) / max(size * (size - 1), 1),
        "logsumexp": logits.logsumexp(dim=1).mean(),
    }
