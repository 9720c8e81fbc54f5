"""TD-InfoNCE, contrastive RL by temporal differences (Zheng et al. 2024, Contrastive Difference Predictive Coding)."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.action_choice import as_rows
from deepcrl.core.agents.common.acting.gaussian_actor import GaussianActor, Temperature
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.actor_losses import actor_loss_max_entropy
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.embedding_critic import add_critics, mean, smallest
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.checks import share
from deepcrl.core.components import AGENTS
from deepcrl.core.modules import frozen
from deepcrl.core.types import Observation, TransitionBatch


@AGENTS.register("crl_td")
class TDInfoNCE(TrainableAgent):
    """The critic tells where the policy leads, from single steps, by InfoNCE with a bootstrapped target.

    f(s, a, g, x) compares what the policy for goal g will reach after (s, a) with a place x. With probability
    1 - discount that is the next state's achieved goal, a positive among those of the batch; else it is what follows
    the policy's next action, a distribution over the batch's goals that the target critics estimate. A step that
    terminated stays where it led. One update steps the critics, then the actor with the new critics, then the
    temperature and the targets. The goals of the batch stand for places visited at random: `buffer.random_goals=1`, as
    in the released code.
    """

    needs_transitions = True
    unused_groups = ("loss",)

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        embedding_dim: int = 64,
        num_critics: int = 2,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        temperature_lr: float = 3e-4,
        target_entropy_per_action: float = -0.5,
        entropy_bonus: bool = True,
        discount: float = 0.99,
        tau: float = 0.005,
        policy: str = "tanh_gaussian",
        policy_std: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
    ) -> None:
        """Builds the actor and `num_critics` critics with targets, of which the least hopeful counts.

        The targets move by the share `tau` of the way to their critics. The rest is as in `crl`; the released code has
        no entropy bonus. The energies have no scale that is the same for all actions, so `best_of` cannot choose by
        them. Raises ValueError for a value out of range.
        """
        super().__init__(inputs)
        share("agent.discount", discount)
        share("agent.tau", tau)
        self._discount, self._tau, self._entropy_bonus = discount, tau, entropy_bonus
        spec = inputs.spec
        self._actor = GaussianActor(
            self,
            inputs,
            lr=actor_lr,
            head=PolicyHead(policy, policy_std),
            exploration=exploration,
            evaluation=evaluation,
        )
        target_entropy = target_entropy_per_action * spec.action_dim
        self._temperature = Temperature(self, lr=temperature_lr, target_entropy=target_entropy)
        sa_dim = spec.state_dim + spec.action_dim + spec.goal_dim
        self._critics = add_critics(self, inputs, num=num_critics, sa_dim=sa_dim, embedding_dim=embedding_dim)
        self._targets = [critic.add_target() for critic in self._critics]
        self.add_optimizer("critic", [p for critic in self._critics for p in critic.parameters()], critic_lr)

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        return self._actor.act(observation, explore=explore)

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns energies [..., N] of actions [..., N, A] at N observations; gradients reach the inputs only.

        They compare places, not actions: each action's energies have an offset of their own.
        """
        state, action_rows, goal = as_rows(observation, action)
        energies = []
        for critic in self._critics:
            with frozen(*critic.modules()):
                energies.append(critic.energy.paired(critic.embed(state, action_rows, goal), critic.embed_goal(goal)))
        return smallest(energies).view(action.shape[:-1])

    def embed(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns phi [N, D] of N observations and actions [N, A], by the first critic."""
        return self._critics[0].embed(observation.state, action, observation.goal)

    def embed_goal(self, goal: Tensor) -> Tensor:
        """Returns psi [N, D] of goals [N, G], by the first critic."""
        return self._critics[0].embed_goal(goal)

    def update(self, batch: TransitionBatch) -> dict[str, Tensor]:
        """Takes one gradient step of the critics, the actor and the temperature; returns 0-dim metrics."""
        critic_loss, info = self._critic_loss(batch)
        gradient_norm = self.step("critic", critic_loss)
        metrics = {"critic/loss": critic_loss.detach(), "critic/gradient_norm": gradient_norm, **info}

        entropy_coef = self._temperature.alpha if self._entropy_bonus else 0.0
        policy = self._actor.policy(batch.state, batch.goal)
        action, log_prob = self._actor.rsample(policy)
        actor_loss, info = actor_loss_max_entropy(
            policy, self._log_ratio(batch, action), log_prob, entropy_coef=entropy_coef, value_name="log_ratio"
        )
        metrics |= self._actor.step(actor_loss, info) | self._temperature.update(log_prob)
        self.move_targets(self._tau)
        return metrics

    def _critic_loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 10 of the paper: (1 - discount) InfoNCE of next places + discount cross-entropy with the target."""
        target = self._target(batch)
        weight_next = 1 - self._discount * ~batch.terminated
        losses, accuracies = [], []
        for critic in self._critics:
            sa = critic.embed(batch.state, batch.action, batch.goal)
            to_next = critic.energy.pairwise(sa, critic.embed_goal(batch.next_achieved)).log_softmax(dim=1)
            to_goals = critic.energy.pairwise(sa, critic.embed_goal(batch.goal)).log_softmax(dim=1)
            after = -(target * to_goals).sum(dim=1)
            losses.append((weight_next * -to_next.diagonal() + (1 - weight_next) * after).mean())
            correct = to_next.detach().argmax(dim=1) == torch.arange(len(to_next), device=to_next.device)
            accuracies.append(correct.float().mean())
        return mean(losses), {
            "critic/categorical_accuracy": mean(accuracies),
            "critic/guess_entropy": torch.special.entr(target).sum(dim=1).mean(),
        }

    @torch.no_grad()
    def _target(self, batch: TransitionBatch) -> Tensor:
        """Returns where the policy goes on from s', by the targets: a distribution [B, B] over the batch's goals."""
        action, _ = self._actor.rsample(self._actor.policy(batch.next_state, batch.goal))
        logits = [
            critic.energy.pairwise(critic.embed(batch.next_state, action, batch.goal), critic.embed_goal(batch.goal))
            for critic in self._targets
        ]
        return smallest(logits).softmax(dim=1)

    def _log_ratio(self, batch: TransitionBatch, action: Tensor) -> Tensor:
        """Returns how well actions [B, A] tell their own goal from those of the batch: log softmax [B]."""
        logits = []
        for critic in self._critics:
            with frozen(*critic.modules()):
                sa = critic.embed(batch.state, action, batch.goal)
                logits.append(critic.energy.pairwise(sa, critic.embed_goal(batch.goal)))
        return smallest(logits).log_softmax(dim=1).diagonal()
