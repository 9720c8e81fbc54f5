"""The sigmoid loss of SigLIP."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty


@LOSSES.register("siglip")
class SigLIP(nn.Module):
    """Soft margin with a learned scale t and bias b: -1/B times the sum over i, j of log sigmoid(z_ij (t L_ij + b)),
    where z is 1 on the diagonal and -1 off it.

    The bias offsets the B - 1 negatives to each positive. Source: Zhai et al. 2023, algorithm 1, whose initial values,
    t = 10 and b = -10, suit cosine energies. With t = 1 and b = 0 this is B times `binary_nce`.
    """

    def __init__(
        self, *, initial_scale: float = 10.0, initial_bias: float = -10.0, logsumexp_coef: float = 0.0
    ) -> None:
        """Raises ValueError for a scale that is not positive."""
        super().__init__()
        if not initial_scale > 0:
            raise ValueError(f"loss.initial_scale must be positive, got {initial_scale}")
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial_scale)))
        self.bias = nn.Parameter(torch.tensor(float(initial_bias)))
        self._logsumexp_coef = logsumexp_coef

    def forward(self, logits: Tensor) -> Tensor:
        """Returns the scalar loss of logits [B, B]; the penalty, too, sees the scaled logits."""
        scaled = self.log_scale.exp() * logits + self.bias
        sign = 2 * torch.eye(len(logits), dtype=logits.dtype, device=logits.device) - 1
        loss = -F.logsigmoid(sign * scaled).sum() / len(logits)
        return loss + self._logsumexp_coef * logsumexp_penalty(scaled)
