"""The losses of a Gaussian actor. Each returns (loss, info): a scalar to step down, and 0-dim metrics.

Offline, an actor that only maximises the critic's value leaves the data, where the critic knows nothing. `ddpg_bc` and
`awr` are two ways to hold it there, in the forms of Park et al. 2024 (Is Value Learning Really the Main Bottleneck in
Offline RL?).
"""

from __future__ import annotations

from torch import Tensor

from deepcrl.core.agents.common.acting.policy import Policy

ACTOR_OBJECTIVES = ("max_entropy", "ddpg_bc", "awr", "none")
"""What `agent.actor_objective` of `crl` may be."""
AWR_MAX_WEIGHT = 100.0
"""Of an action in `awr`, as in OGBench."""

Info = dict[str, Tensor]


def actor_loss_max_entropy(
    policy: Policy, value: Tensor, log_prob: Tensor, *, entropy_coef: Tensor | float, value_name: str = "energy"
) -> tuple[Tensor, Info]:
    """Maximum entropy RL: entropy_coef mean(log_prob) - mean(value) (Haarnoja et al. 2018).

    `value` [B] is the critic's, and `log_prob` [B] the log density, of actions that the policy drew. The metric of the
    value is called `actor/<value_name>`.
    """
    loss = entropy_coef * log_prob.mean() - value.mean()
    return loss, {
        f"actor/{value_name}": value.detach().mean(),
        "actor/entropy": -log_prob.detach().mean(),
        "actor/log_std": policy.log_std.detach().mean(),
    }


def actor_loss_ddpg_bc(
    policy: Policy, value: Tensor, data_action: Tensor, *, bc_coef: float, weight: Tensor | None = None
) -> tuple[Tensor, Info]:
    """DDPG+BC: -mean(value) / mean|value| - bc_coef mean(log pi(data_action)).

    `value` [B] is the critic's of actions that the policy drew, `data_action` [B, A] what was done instead. The divisor
    is a constant to autograd; with it `bc_coef` means the same for values of any scale (Fujimoto & Gu 2021; OGBench).
    `weight` [B], if there is one, says how much the rows' likelihoods count.
    """
    log_prob = _weighted(policy.log_prob(data_action), weight)
    loss = -value.mean() / (value.detach().abs().mean() + 1e-6) - bc_coef * log_prob.mean()
    return loss, _imitation_info(policy, log_prob, data_action)


def actor_loss_awr(
    policy: Policy, advantage: Tensor, data_action: Tensor, *, temperature: float, weight: Tensor | None = None
) -> tuple[Tensor, Info]:
    """Advantage-weighted regression: -mean(min(exp(advantage / temperature), 100) log pi(data_action)).

    It imitates the data's actions [B, A], the better ones more (Peng et al. 2019). The weights, of `advantage` [B], are
    constants to autograd, as is `weight` [B], which multiplies them if there is one.
    """
    log_prob = _weighted(policy.log_prob(data_action), weight)
    of_advantage = (advantage.detach() / temperature).exp().clamp(max=AWR_MAX_WEIGHT)
    return -(of_advantage * log_prob).mean(), _imitation_info(policy, log_prob, data_action)


def _weighted(log_prob: Tensor, weight: Tensor | None) -> Tensor:
    return log_prob if weight is None else weight * log_prob


def _imitation_info(policy: Policy, log_prob: Tensor, data_action: Tensor) -> Info:
    return {
        "actor/log_prob": log_prob.detach().mean(),
        "actor/mse": (policy.mode().detach() - data_action).square().mean(),
        "actor/log_std": policy.log_std.detach().mean(),
    }
