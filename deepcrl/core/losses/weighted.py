"""The losses whose rows can be weighted, each row being what (s, a)_i is taught: its positive among its negatives.

A weight [B] multiplies the whole term of its row, and the sum is divided by B whatever the weights are, as in Safe-CRL
(Li et al. 2026). As negatives of other rows all goals count alike, and so do all rows in the logsumexp penalty.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor

from deepcrl.core.losses.dcl import dcl
from deepcrl.core.losses.infonce import infonce
from deepcrl.core.losses.terms import logsumexp_penalty, negatives

WeightedLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits [B, B], weight [B]) -> scalar"""


def weighted_infonce(logits: Tensor, weight: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Forward InfoNCE: mean_i weight_i (logsumexp_j L_ij - L_ii), and the penalty."""
    logsumexp = logits.logsumexp(dim=1)
    return (weight * (logsumexp - logits.diagonal())).mean() + logsumexp_coef * logsumexp.square().mean()


def weighted_dcl(logits: Tensor, weight: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Decoupled contrastive learning: mean_i weight_i (logsumexp_{j != i} L_ij - L_ii), and the penalty."""
    rows = negatives(logits).logsumexp(dim=1) - logits.diagonal()
    return (weight * rows).mean() + logsumexp_coef * logsumexp_penalty(logits)


WEIGHTED: dict[Any, Callable[..., Tensor]] = {infonce: weighted_infonce, dcl: weighted_dcl}


def weighted(loss: Any) -> WeightedLoss | None:
    """Returns `loss`, as the registry builds it, with weights for its rows; None if there is none such."""
    if not isinstance(loss, functools.partial) or loss.func not in WEIGHTED:
        return functools.partial(WEIGHTED[loss]) if loss in WEIGHTED else None
    return functools.partial(WEIGHTED[loss.func], **loss.keywords)
