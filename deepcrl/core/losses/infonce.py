"""Forward InfoNCE, the loss of the paper."""

from torch import Tensor

from deepcrl.core.components import LOSSES


@LOSSES.register("infonce")
def infonce(logits: Tensor, *, logsumexp_coef: float = 0.1) -> Tensor:
    """Classify each row's goal among all goals of the batch: -mean(L_ii - logsumexp_j L_ij).

    `logsumexp_coef` weighs mean((logsumexp_j L_ij)^2), without which the forward loss does not fix the scale of the
    logits (van den Oord et al. 2018; paper section 3, released code train.py:807-811). logits [B, B] -> scalar.
    """
    logsumexp = logits.logsumexp(dim=1)
    return (logsumexp - logits.diagonal()).mean() + logsumexp_coef * logsumexp.square().mean()
