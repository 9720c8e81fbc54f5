"""Contrastive RL (paper section 3; released code train.py:733-841)."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.agents.gaussian_actor import GaussianActor, Temperature
from deepcrl.core.agents.learner import Learner, check_not_negative, check_positive, check_share, frozen
from deepcrl.core.agents.parts import Parts
from deepcrl.core.components import AGENTS
from deepcrl.core.energies import check_dim
from deepcrl.core.types import Batch, Observation


@AGENTS.register("crl")
class CRL(Learner):
    """Contrastive RL: the critic tells which goal a state-action leads to, the actor maximises its energy.

    One update takes the actor's step first, with the critic as it was, then the temperature's, then the critic's, all
    on one batch. The goal embedding is computed once and shared. Nothing in `act` or `update` waits for the device.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        embedding_dim: int = 64,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        temperature_lr: float = 3e-4,
        target_entropy_per_action: float = -0.5,
        entropy_bonus: bool = True,
        random_goals: float = 0.0,
        embedding_l2_coef: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
        num_candidates: int = 8,
    ) -> None:
        """Builds the three networks and their optimisers.

        The temperature aims at an entropy of `target_entropy_per_action` x A; without `entropy_bonus` the entropy
        term leaves the actor's loss. `random_goals` is the share of the actor's batch whose goals come from other
        trajectories instead of the own future (0.5 in Eysenbach et al. 2022, 0 in the paper). `embedding_l2_coef`
        weighs the mean squares of both embeddings' components in the critic's loss (JaxGCRL, 2024). `exploration` and
        `evaluation` name an action choice, of which `best_of` draws `num_candidates`. Raises ValueError for a value
        out of range.
        """
        super().__init__(parts)
        check_positive(embedding_dim=embedding_dim)
        check_dim(parts.energy, embedding_dim)
        check_share(random_goals=random_goals)
        check_not_negative(embedding_l2_coef=embedding_l2_coef)
        self._random_goals, self._embedding_l2_coef = random_goals, embedding_l2_coef
        self._energy, self._loss, self._entropy_bonus = parts.energy, parts.loss, entropy_bonus
        spec = parts.spec
        self._actor = GaussianActor(
            self,
            parts,
            lr=actor_lr,
            exploration=exploration,
            evaluation=evaluation,
            num_candidates=num_candidates,
            critic=self._score,
        )
        self._temperature = Temperature(
            self, lr=temperature_lr, target_entropy=target_entropy_per_action * spec.action_dim
        )
        self.sa_encoder = self.add_network(
            "sa_encoder", parts.sa_encoder, spec.state_dim + spec.action_dim, embedding_dim
        )
        self.goal_encoder = self.add_network("goal_encoder", parts.goal_encoder, spec.goal_dim, embedding_dim)
        critic = [self.sa_encoder, self.goal_encoder, *self.add_parts(energy=parts.energy, loss=parts.loss)]
        self.add_optimizer("critic", [p for net in critic for p in net.parameters()], critic_lr)

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in (-1, 1) for N observations."""
        return self._actor.act(observation, explore=explore)

    def _score(self, observation: Observation, actions: Tensor) -> Tensor:
        state = observation.state.expand(*actions.shape[:-1], -1)
        sa = self.encode(self.sa_encoder, state.flatten(0, 1), actions.flatten(0, 1))
        return self._energy.paired(sa.unflatten(0, actions.shape[:2]), self.encode(self.goal_encoder, observation.goal))

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step of the actor, the temperature and the critic; returns 0-dim metrics."""
        g = self.encode(self.goal_encoder, batch.goal)
        metrics, log_prob = self._update_actor(batch, g.detach())
        metrics |= self._temperature.update(log_prob)
        return metrics | self._update_critic(batch, g)

    def _update_actor(self, batch: Batch, g: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        goal, g = self._actor_goals(batch.goal), self._actor_goals(g)

        def energy(action: Tensor) -> Tensor:
            with frozen(self.sa_encoder):
                return self._energy.paired(self.encode(self.sa_encoder, batch.state, action), g)

        entropy_coef = self._temperature.alpha if self._entropy_bonus else 0.0
        return self._actor.climb(batch.state, goal, energy, entropy_coef, value_name="energy")

    def _actor_goals(self, goal: Tensor) -> Tensor:
        """Gives the first rows of the batch, whose order is random, the goals [B, .] of their neighbours."""
        num_random = round(self._random_goals * goal.shape[0])
        return torch.cat([goal.roll(1, dims=0)[:num_random], goal[num_random:]]) if num_random else goal

    def _update_critic(self, batch: Batch, g: Tensor) -> dict[str, Tensor]:
        sa = self.encode(self.sa_encoder, batch.state, batch.action)
        logits = self._energy.pairwise(sa, g)
        loss = self._loss(logits)
        if self._embedding_l2_coef:
            loss = loss + self._embedding_l2_coef * (sa.square().mean() + g.square().mean())
        gradient_norm = self.step("critic", loss)
        return {"critic/loss": loss.detach(), "critic/gradient_norm": gradient_norm, **_logit_metrics(logits.detach())}


def _logit_metrics(logits: Tensor) -> dict[str, Tensor]:
    """How well logits [B, B] tell the positive pairs, on the diagonal, from the negative ones."""
    size = logits.shape[0]
    positive = logits.diagonal()
    correct = logits.argmax(dim=1) == torch.arange(size, device=logits.device)
    return {
        "critic/categorical_accuracy": correct.float().mean(),
        "critic/logits_pos": positive.mean(),
        "critic/logits_neg": (logits.sum() - positive.sum()) / max(size * (size - 1), 1),
        "critic/logsumexp": logits.logsumexp(dim=1).mean(),
    }
