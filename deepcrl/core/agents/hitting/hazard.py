"""The likelihood of a first hitting time under hazards, and the value that they give: all in float32.

P(T = 0) = sigmoid(logit0); given T >= b_k and T > 0, the goal is reached in bin k with probability sigmoid(logits[k]).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from deepcrl.core.agents.hitting.bins import TimeBins
from deepcrl.core.agents.hitting.labels import HittingLabels

SMALLEST_LOG = -80.0
"""Of a survival: below e^-87 a float32 is denormal, which costs a processor hundreds of cycles each."""


def hazard_nll(logit0: Tensor, logits: Tensor, labels: HittingLabels, bins: TimeBins) -> Tensor:
    """Returns minus the log likelihood [B] of the labels, of logits [B] and [B, K].

    Of a goal that was reached at once: -log sigmoid(logit0); in bin k: that it was not at once, not in bins before k,
    but in k; not at all: that it was not at once, nor in the bins that are over at the label's time. Minus the log of
    a hazard's complement is softplus(logit), so what was passed is a sum over bins.
    """
    later = labels.later
    bin = bins.of_step[labels.time]
    num_passed = torch.where(labels.hit, (bin + 1) * later, bins.num_before[labels.time])
    passed = (softplus(logits) * (bins.index < num_passed[:, None])).sum(dim=1)
    at_once = (labels.hit & ~later) * logit0
    in_bin = later * logits.gather(1, bin[:, None])[:, 0]
    return softplus(logit0) + passed - at_once - in_bin


def survival(logit0: Tensor, logits: Tensor) -> Tensor:
    """Returns P(T >= b and T > 0) [B, K] at the ends b of all bins, the last one being that of never."""
    log = -softplus(logit0)[:, None] - softplus(logits).cumsum(dim=1)
    return log.clamp_min(SMALLEST_LOG).exp()


def value_weights(bins: TimeBins, discount: float, *, tail: bool) -> Tensor:
    """Returns the weights [K + 1] of `hazard_value`; `tail` counts the steps after the horizon as well."""
    after = discount ** int(bins.edges[-1]) / (1 - discount) if tail else 0.0
    weights = torch.cat([bins.discounted_steps(discount), torch.tensor([after], dtype=torch.float64)])
    return weights.float().to(bins.index.device)


def hazard_value(logit0: Tensor, logits: Tensor, weights: Tensor) -> Tensor:
    """Returns the expected discounted return [B] of a reward of -1 for each step until the goal is reached.

    It is -sum_k weights[k] S_k, with S_k the survival at edge k, S_0 = P(T > 0): what is certain to take tau > 0 steps
    is worth -(1 - discount^(tau + 1)) / (1 - discount), and 0 if it is reached at once.
    """
    return -(weights[0] * (-logit0).sigmoid() + survival(logit0, logits) @ weights[1:])
