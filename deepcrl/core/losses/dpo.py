"""DPO as a contrastive loss."""

from torch import Tensor
from torch.nn import functional as F

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty, mean_of_negatives


@LOSSES.register("dpo")
def dpo(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Prefer the positive to each negative of its row: minus the mean over i != j of log sigmoid(L_ii - L_ij).

    Source: Rafailov et al. 2023, equation 7, with logits as rewards. JaxGCRL's mean also counts j = i, a constant.
    logits [B, B] -> scalar.
    """
    margins = logits.diagonal()[:, None] - logits
    return mean_of_negatives(-F.logsigmoid(margins)) + logsumexp_coef * logsumexp_penalty(logits)
