"""Symmetric InfoNCE."""

from torch import Tensor

from deepcrl.core.components import LOSSES


@LOSSES.register("symmetric_infonce")
def symmetric_infonce(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Sum of the forward and the backward InfoNCE: -mean(2 L_ii - logsumexp_j L_ij - logsumexp_j L_ji).

    Source: Radford et al. 2021, without the factor 1/2, as in JaxGCRL (losses.py:24-27). logits [B, B] -> scalar.
    """
    forward = logits.logsumexp(dim=1)
    loss = (forward + logits.logsumexp(dim=0) - 2 * logits.diagonal()).mean()
    return loss + logsumexp_coef * forward.square().mean()
