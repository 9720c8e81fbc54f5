"""InfoNCE with a learned temperature."""

import math

import torch
from torch import Tensor, nn

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.infonce import infonce


@LOSSES.register("infonce_temperature")
class InfoNCETemperature(nn.Module):
    """Forward InfoNCE of the logits divided by a temperature that is learned with the critic; its logarithm is the
    parameter.

    Cosine energies lie in [-1, 1] and need one. Source: Radford et al. 2021, without their bound on it.
    """

    def __init__(self, *, initial_temperature: float = 1.0, logsumexp_coef: float = 0.1) -> None:
        """Raises ValueError for a temperature that is not positive."""
        super().__init__()
        if not initial_temperature > 0:
            raise ValueError(f"loss.initial_temperature must be positive, got {initial_temperature}")
        self.log_temperature = nn.Parameter(torch.tensor(math.log(initial_temperature)))
        self._logsumexp_coef = logsumexp_coef

    def forward(self, logits: Tensor) -> Tensor:
        """Returns the scalar loss of logits [B, B]; the penalty, too, sees the divided logits."""
        return infonce(logits / self.log_temperature.exp(), logsumexp_coef=self._logsumexp_coef)
