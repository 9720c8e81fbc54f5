"""What several losses share: the logsumexp penalty, and logsumexp over the negatives."""

import torch
from torch import Tensor


def logsumexp_penalty(logits: Tensor) -> Tensor:
    """Returns mean_i (logsumexp_j L_ij)^2 of logits [B, B], over rows with their positive: a scalar."""
    return logits.logsumexp(dim=1).square().mean()


def negatives(logits: Tensor) -> Tensor:
    """Returns logits [B, B] with minus infinity on the diagonal: no loss sees, nor moves, the positives there."""
    return logits.masked_fill(torch.eye(len(logits), dtype=torch.bool, device=logits.device), -torch.inf)


def mean_of_negatives(values: Tensor) -> Tensor:
    """Returns the mean of the B (B - 1) entries of values [B, B] off the diagonal."""
    size = len(values)
    return (values.sum() - values.diagonal().sum()) / (size * (size - 1))
