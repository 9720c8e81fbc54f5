"""Backward FlatNCE."""

from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty, negatives


@LOSSES.register("backward_flatnce")
def backward_flatnce(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """FlatNCE over columns: with c_j = logsumexp_{i != j} (L_ij - L_jj), the mean of exp(c_j - stop_gradient(c_j)).

    See `flatnce` for the source, and for what differs from JaxGCRL. The penalty runs over rows.
    logits [B, B] -> scalar.
    """
    c = negatives(logits).logsumexp(dim=0) - logits.diagonal()
    return (c - c.detach()).exp().mean() + logsumexp_coef * logsumexp_penalty(logits)
