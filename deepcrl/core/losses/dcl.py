"""Decoupled contrastive learning."""

from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty, negatives


@LOSSES.register("dcl")
def dcl(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Forward InfoNCE without the positive in its denominator: -mean(L_ii - logsumexp_{j != i} L_ij).

    A positive that is already the likeliest goes on being pulled. Source: Yeh et al. 2022; their sum over
    both directions is `symmetric_infonce` with `positive_in_denominator=false`. logits [B, B] -> scalar.
    """
    loss = (negatives(logits).logsumexp(dim=1) - logits.diagonal()).mean()
    return loss + logsumexp_coef * logsumexp_penalty(logits)
