"""Symmetric InfoNCE."""

from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty, negatives


@LOSSES.register("symmetric_infonce")
def symmetric_infonce(logits: Tensor, *, positive_in_denominator: bool = True, logsumexp_coef: float = 0.1) -> Tensor:
    """Sum of the forward and the backward InfoNCE: -mean(2 L_ii - logsumexp_j L_ij - logsumexp_j L_ji).

    Source: Radford et al. 2021, without the factor 1/2, as in JaxGCRL (losses.py:24-27). With
    `positive_in_denominator` false, both logsumexp run over the negatives only, as in decoupled contrastive learning
    (Yeh et al. 2022); the penalty keeps the positive. logits [B, B] -> scalar.
    """
    others = logits if positive_in_denominator else negatives(logits)
    loss = (others.logsumexp(dim=1) + others.logsumexp(dim=0) - 2 * logits.diagonal()).mean()
    return loss + logsumexp_coef * logsumexp_penalty(logits)
