"""The losses whose rows can be weighted: each positive pair among its negatives, by its state-action or by its goal.

A weight [B] multiplies the whole term of its pair, and the sum is divided by B whatever the weights are, as in Safe-CRL
(Li et al. 2026). As negatives of other rows all goals count alike, and so do all rows in the logsumexp penalty.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor

from deepcrl.core.losses.backward_infonce import backward_infonce
from deepcrl.core.losses.dcl import dcl
from deepcrl.core.losses.infonce import infonce
from deepcrl.core.losses.symmetric_infonce import symmetric_infonce
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


def weighted_backward_infonce(logits: Tensor, weight: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Backward InfoNCE: mean_j weight_j (logsumexp_i L_ij - L_jj), and the penalty."""
    columns = logits.logsumexp(dim=0) - logits.diagonal()
    return (weight * columns).mean() + logsumexp_coef * logsumexp_penalty(logits)


def weighted_symmetric_infonce(
    logits: Tensor, weight: Tensor, *, positive_in_denominator: bool = True, logsumexp_coef: float = 0.1
) -> Tensor:
    """Symmetric InfoNCE: of each pair both terms, times its weight, and the penalty."""
    others = logits if positive_in_denominator else negatives(logits)
    pairs = others.logsumexp(dim=1) + others.logsumexp(dim=0) - 2 * logits.diagonal()
    return (weight * pairs).mean() + logsumexp_coef * logsumexp_penalty(logits)


WEIGHTED: dict[Any, Callable[..., Tensor]] = {
    infonce: weighted_infonce,
    backward_infonce: weighted_backward_infonce,
    symmetric_infonce: weighted_symmetric_infonce,
    dcl: weighted_dcl,
}


def check_weighted(what: str, loss: Any) -> None:
    """Raises ValueError, which says that `what` weights the rows, for a loss that takes no weights."""
    if weighted(loss) is None:
        known = ", ".join(item.__name__ for item in WEIGHTED)
        raise ValueError(f"{what} weights the rows of the loss, which only these take: loss={known}")


def weighted(loss: Any) -> WeightedLoss | None:
    """Returns `loss`, as the registry builds it, with weights for its rows; None if there is none such."""
    if not isinstance(loss, functools.partial) or loss.func not in WEIGHTED:
        return functools.partial(WEIGHTED[loss]) if loss in WEIGHTED else None
    return functools.partial(WEIGHTED[loss.func], **loss.keywords)
