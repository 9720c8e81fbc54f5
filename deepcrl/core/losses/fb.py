"""The loss of forward-backward representations, here without bootstrapping."""

from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.terms import logsumexp_penalty, mean_of_negatives


@LOSSES.register("fb")
def fb(logits: Tensor, *, logsumexp_coef: float = 0.0) -> Tensor:
    """Least squares for the density ratio itself: -mean(L_ii) + 1/2 mean over i != j of L_ij^2.

    Source: Touati and Ollivier 2021, with Monte Carlo goals in place of the bootstrapped target; the same as
    least-squares importance fitting (Kanamori et al. 2009). The logits estimate p(g | s, a) / p(g), not its logarithm:
    energies that are minus a distance cannot reach it. logits [B, B] -> scalar.
    """
    loss = 0.5 * mean_of_negatives(logits.square()) - logits.diagonal().mean()
    return loss + logsumexp_coef * logsumexp_penalty(logits)
