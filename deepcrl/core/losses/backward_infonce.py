"""Backward InfoNCE."""

from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty


@LOSSES.register("backward_infonce")
def backward_infonce(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Classify each goal's state-action among all of the batch: -mean(L_jj - logsumexp_i L_ij).

    The penalty is the forward one, over rows, as in JaxGCRL (losses.py:22-23, 113-114). logits [B, B] -> scalar.
    """
    loss = (logits.logsumexp(dim=0) - logits.diagonal()).mean()
    return loss + logsumexp_coef * logsumexp_penalty(logits)
