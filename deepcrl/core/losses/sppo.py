"""SPPO as a contrastive loss."""

import torch
from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty


@LOSSES.register("sppo")
def sppo(logits: Tensor, *, logsumexp_coef: float = 0.0) -> Tensor:
    """Regress positives to 1 and negatives to -1: the mean over all i, j of w_ij (L_ij - T_ij)^2, where w is B on
    the diagonal and 1 off it.

    Source: Wu et al. 2024, as JaxGCRL turned it into a contrastive loss. logits [B, B] -> scalar.
    """
    positive = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    weight, target = 1 + (len(logits) - 1) * positive, 2 * positive - 1
    return (weight * (logits - target).square()).mean() + logsumexp_coef * logsumexp_penalty(logits)
