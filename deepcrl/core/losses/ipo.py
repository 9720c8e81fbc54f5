"""IPO as a contrastive loss."""

from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty, mean_of_negatives


@LOSSES.register("ipo")
def ipo(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Set the positive one above each negative of its row: the mean over i != j of (L_ii - L_ij - 1)^2.

    Source: Azar et al. 2023, equation 17, with logits as rewards and a margin of 1. JaxGCRL's mean also counts j = i, a
    constant. A margin above 1 is punished as one below: use an energy with a free scale. logits [B, B] -> scalar.
    """
    margins = logits.diagonal()[:, None] - logits
    return mean_of_negatives((margins - 1).square()) + logsumexp_coef * logsumexp_penalty(logits)
