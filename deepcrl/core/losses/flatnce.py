"""FlatNCE."""

from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty, negatives


@LOSSES.register("flatnce")
def flatnce(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """With c_i = logsumexp_{j != i} (L_ij - L_ii), the mean of exp(c_i - stop_gradient(c_i)).

    Source: Chen et al. 2021, "Simpler, Faster, Stronger" (FlatNCE). The value is always 1 before the penalty: watch
    the accuracy instead. The gradient is that of mean(c_i). JaxGCRL's version keeps the positive in the sum, which
    gives InfoNCE's gradient. logits [B, B] -> scalar.
    """
    c = negatives(logits).logsumexp(dim=1) - logits.diagonal()
    return (c - c.detach()).exp().mean() + logsumexp_coef * logsumexp_penalty(logits)
