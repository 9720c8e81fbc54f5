"""Soft actor-critic (Haarnoja et al. 2018) for goals, in hindsight or commanded (HER, Andrychowicz et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.action_choice import as_rows
from deepcrl.core.agents.common.acting.gaussian_actor import GaussianActor, Temperature
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.actor_losses import actor_loss_max_entropy
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.common.twin_q import TwinQ
from deepcrl.core.checks import share
from deepcrl.core.components import AGENTS
from deepcrl.core.types import Observation, TransitionBatch


@AGENTS.register("sac")
class SAC(TrainableAgent):
    """Soft actor-critic on a sparse reward: twin critics by temporal differences, an actor that also seeks entropy.

    The goals are those of the buffer. `relabel=uniform_future` or `final` makes them hindsight goals (HER),
    `buffer.commanded_goals=1` keeps the commanded ones (no HER), a share of 0.2 mixes both as HER does. One update
    steps the critics, then the actor with the new critics, then the temperature, then the targets.
    """

    needs_transitions = True
    unused_groups = ("energy", "loss", "goal_encoder")

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        temperature_lr: float = 3e-4,
        target_entropy_per_action: float = -0.5,
        discount: float = 0.99,
        tau: float = 0.005,
        policy: str = "tanh_gaussian",
        policy_std: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
        num_candidates: int = 8,
    ) -> None:
        """Builds the actor and two critics, which are of `critic_encoder` or `sa_encoder`.

        The targets move by the share `tau` of the way to their critics. The rest is as in `crl`. Raises ValueError for
        a value out of range, or a task that states no success radius.
        """
        super().__init__(inputs)
        share("agent.tau", tau)
        self._critics = TwinQ(self, inputs, lr=critic_lr, discount=discount)
        self._tau = tau
        self._actor = GaussianActor(
            self,
            inputs,
            lr=actor_lr,
            head=PolicyHead(policy, policy_std),
            exploration=exploration,
            evaluation=evaluation,
            value=self.value,
            num_candidates=num_candidates,
        )
        target_entropy = target_entropy_per_action * inputs.spec.action_dim
        self._temperature = Temperature(self, lr=temperature_lr, target_entropy=target_entropy)

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        return self._actor.act(observation, explore=explore)

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns the smaller values [..., N] of actions [..., N, A]; gradients reach the inputs only."""
        return self._critics.value(*as_rows(observation, action)).view(action.shape[:-1])

    def update(self, batch: TransitionBatch) -> dict[str, Tensor]:
        """Takes one gradient step of the critics, the actor and the temperature; returns 0-dim metrics."""
        alpha = self._temperature.alpha
        critic_loss, info = self._critics.loss(batch, self._target(batch, alpha))
        gradient_norm = self.step("critic", critic_loss)
        metrics = {"critic/loss": critic_loss.detach(), "critic/gradient_norm": gradient_norm, **info}

        policy = self._actor.policy(batch.state, batch.goal)
        action, log_prob = self._actor.rsample(policy)
        value = self._critics.value(batch.state, action, batch.goal)
        actor_loss, info = actor_loss_max_entropy(policy, value, log_prob, entropy_coef=alpha, value_name="value")
        metrics |= self._actor.step(actor_loss, info) | self._temperature.update(log_prob)
        self.move_targets(self._tau)
        return metrics

    @torch.no_grad()
    def _target(self, batch: TransitionBatch, alpha: Tensor) -> Tensor:
        """Returns r + discount (min_i Q'_i(s', a', g) - alpha log pi(a' | s', g)) [B], with a' of the policy."""
        next_action, log_prob = self._actor.rsample(self._actor.policy(batch.next_state, batch.goal))
        return self._critics.target(batch, next_action, -alpha * log_prob)
