"""What `crl`'s actor is asked for: the names that `agent.actor_objective` takes, and the losses of the offline ones.

Offline, an actor that only climbs the critic leaves the data, where the critic knows nothing. Two ways to hold it there
are compared by Park et al. 2024 (Is Value Learning Really the Main Bottleneck in Offline RL?), whose forms these are.
"""

from __future__ import annotations

from torch import Tensor

ACTOR_OBJECTIVES = ("max_entropy", "ddpg_bc", "awr")
MAX_WEIGHT = 100.0
"""Of an action in `awr`, as in OGBench."""


def ddpg_bc(energy: Tensor, log_prob: Tensor, *, bc_coef: float) -> Tensor:
    """DDPG+BC: climb the energy [B] of the policy's own actions, and keep the data's actions likely.

    -mean(energy) / mean|energy| - bc_coef mean(log_prob), with log_prob [B] that of the data's actions. The divisor is
    a constant to autograd; with it `bc_coef` means the same for energies of any scale (Fujimoto & Gu 2021; OGBench).
    """
    return -energy.mean() / (energy.detach().abs().mean() + 1e-6) - bc_coef * log_prob.mean()


def awr(advantage: Tensor, log_prob: Tensor, *, temperature: float) -> Tensor:
    """Advantage-weighted regression: imitate the data's actions, the better ones more (Peng et al. 2019).

    -mean(min(exp(advantage / temperature), 100) log_prob), with advantage [B] and log_prob [B] those of the data's
    actions. The weights are constants to autograd.
    """
    weight = (advantage.detach() / temperature).exp().clamp(max=MAX_WEIGHT)
    return -(weight * log_prob).mean()
