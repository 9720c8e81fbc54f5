"""TD-InfoNCE, contrastive RL by temporal differences (Zheng et al. 2024, Contrastive Difference Predictive Coding)."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.agents.common.embedding_critic import add_critics, least, mean
from deepcrl.core.agents.common.gaussian_actor import GaussianActor, Temperature
from deepcrl.core.agents.common.inputs import Parts
from deepcrl.core.agents.common.learner import Learner, frozen
from deepcrl.core.checks import share
from deepcrl.core.components import AGENTS
from deepcrl.core.types import Observation, TransitionBatch


@AGENTS.register("crl_td")
class TDInfoNCE(Learner):
    """The critic tells where the policy leads, from single steps, by InfoNCE with a bootstrapped target.

    f(s, a, g, x) compares what the policy for goal g will reach after (s, a) with a place x. With probability
    1 - discount that is the next state's achieved goal, a positive among those of the batch; else it is what follows
    the policy's next action, which the target critics guess among the batch's goals. A step that terminated stays where
    it led. One update steps the critics, then the actor with the new critics, then the temperature and the targets.
    The goals of the batch stand for places visited at random: `buffer.random_goals=1`, as in the released code.
    """

    needs_transitions = True
    unused_groups = ("loss",)

    def __init__(
        self,
        parts: Parts,
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
        exploration: str = "sample",
        evaluation: str = "deterministic",
    ) -> None:
        """Builds the actor and `num_critics` critics with targets, of which the least hopeful counts.

        The targets move by the share `tau` of the way to their critics. The rest is as in `crl`; the released code has
        no entropy bonus. The energies have no scale that is the same for all actions, so `best_of` cannot choose by
        them. Raises ValueError for a value out of range.
        """
        super().__init__(parts)
        share("agent.discount", discount)
        share("agent.tau", tau)
        self._discount, self._tau, self._entropy_bonus = discount, tau, entropy_bonus
        spec = parts.spec
        self._actor = GaussianActor(self, parts, lr=actor_lr, exploration=exploration, evaluation=evaluation)
        target_entropy = target_entropy_per_action * spec.action_dim
        self._temperature = Temperature(self, lr=temperature_lr, target_entropy=target_entropy)
        sa_dim = spec.state_dim + spec.action_dim + spec.goal_dim
        self._critics = add_critics(self, parts, num=num_critics, sa_dim=sa_dim, embedding_dim=embedding_dim)
        self._targets = [critic.add_target() for critic in self._critics]
        self.add_optimizer("critic", [p for critic in self._critics for p in critic.parameters()], critic_lr)

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        return self._actor.act(observation, explore=explore)

    def update(self, batch: TransitionBatch) -> dict[str, Tensor]:
        """Takes one gradient step of the critics, the actor and the temperature; returns 0-dim metrics."""
        metrics = self._update_critics(batch)
        alpha = self._temperature.alpha if self._entropy_bonus else 0.0
        more, log_prob = self._actor.climb(
            batch.state, batch.goal, lambda action: self._value(batch, action), alpha, value_name="log_ratio"
        )
        metrics |= more | self._temperature.update(log_prob)
        self.move_targets(self._tau)
        return metrics

    def _update_critics(self, batch: TransitionBatch) -> dict[str, Tensor]:
        """Equation 10 of the paper: (1 - discount) InfoNCE of next places + discount cross-entropy with the guess."""
        guess = self._guess(batch)
        weight_next = 1 - self._discount * ~batch.terminated
        losses, accuracies = [], []
        for critic in self._critics:
            sa = critic.embed(batch.state, batch.action, batch.goal)
            to_next = critic.energy.pairwise(sa, critic.embed_goal(batch.next_achieved)).log_softmax(dim=1)
            to_goals = critic.energy.pairwise(sa, critic.embed_goal(batch.goal)).log_softmax(dim=1)
            after = -(guess * to_goals).sum(dim=1)
            losses.append((weight_next * -to_next.diagonal() + (1 - weight_next) * after).mean())
            correct = to_next.detach().argmax(dim=1) == torch.arange(len(to_next), device=to_next.device)
            accuracies.append(correct.float().mean())
        loss = mean(losses)
        gradient_norm = self.step("critic", loss)
        return {
            "critic/loss": loss.detach(),
            "critic/gradient_norm": gradient_norm,
            "critic/categorical_accuracy": mean(accuracies),
            "critic/guess_entropy": torch.special.entr(guess).sum(dim=1).mean(),
        }

    @torch.no_grad()
    def _guess(self, batch: TransitionBatch) -> Tensor:
        """Returns where the policy goes on from s', by the targets: a distribution [B, B] over the batch's goals."""
        action, _ = self._actor.draw(batch.next_state, batch.goal)
        logits = [
            critic.energy.pairwise(critic.embed(batch.next_state, action, batch.goal), critic.embed_goal(batch.goal))
            for critic in self._targets
        ]
        return least(logits).softmax(dim=1)

    def _value(self, batch: TransitionBatch, action: Tensor) -> Tensor:
        """Returns how well actions [B, A] tell their own goal from those of the batch: log softmax [B]."""
        logits = []
        for critic in self._critics:
            with frozen(*critic.modules()):
                sa = critic.embed(batch.state, action, batch.goal)
                logits.append(critic.energy.pairwise(sa, critic.embed_goal(batch.goal)))
        return least(logits).log_softmax(dim=1).diagonal()
