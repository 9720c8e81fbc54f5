"""Binary NCE."""

import torch
from torch import Tensor
from torch.nn import functional as F

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty


@LOSSES.register("binary_nce")
def binary_nce(logits: Tensor, *, logsumexp_coef: float = 0.0) -> Tensor:
    """Tell positives from negatives, each pair by itself: mean over all i, j of the cross-entropy of sigmoid(L_ij)
    with the label [i = j].

    Source: Eysenbach et al. 2022. JaxGCRL's current `binary_nce` has no labels, so it raises all logits
    alike (losses.py:28-29). logits [B, B] -> scalar.
    """
    labels = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits, labels) + logsumexp_coef * logsumexp_penalty(logits)
