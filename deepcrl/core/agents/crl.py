"""Contrastive RL (paper section 3; released code train.py:733-841)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepcrl.core.agents.common.actor_objective import ACTOR_OBJECTIVES, awr, ddpg_bc
from deepcrl.core.agents.common.contrast import contrast
from deepcrl.core.agents.common.embedding_critic import EmbeddingCritic, add_critics, least, mean
from deepcrl.core.agents.common.gaussian_actor import GaussianActor, Temperature
from deepcrl.core.agents.common.inputs import Parts
from deepcrl.core.agents.common.learner import Learner, copied
from deepcrl.core.agents.common.tanh_gaussian import TanhGaussian
from deepcrl.core.agents.common.two_threads import Halves
from deepcrl.core.checks import above, at_least, share, suggest
from deepcrl.core.components import AGENTS
from deepcrl.core.types import Batch, Observation

EnergyOf = Callable[[Tensor], Tensor]
"""actions [B, A] at the batch's states -> energy [B] of leading to its goals"""


@AGENTS.register("crl")
class CRL(Learner):
    """Contrastive RL: the critic tells which goal a state-action leads to, the actor maximises its energy.

    One update takes the actor's step and the temperature's with the critic as it was, and the critic's, all on one
    batch: neither half needs the other's result, so a CPU may compute both at once. The goal embedding is computed once
    and shared. Nothing in `act` or `update` waits for the device.

    The actor objectives `ddpg_bc` and `awr` are for offline training: they keep to the actions of the data, and leave
    the temperature where it is. For the advantage, `awr` learns one more critic, which sees the state without the
    action: where one usually gets from there.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        embedding_dim: int = 64,
        num_critics: int = 1,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        temperature_lr: float = 3e-4,
        target_entropy_per_action: float = -0.5,
        entropy_bonus: bool = True,
        actor_objective: str = "max_entropy",
        bc_coef: float = 0.1,
        awr_temperature: float = 1.0,
        random_goals: float = 0.0,
        embedding_l2_coef: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
        num_candidates: int = 8,
    ) -> None:
        """Builds the networks and their optimisers.

        Of `num_critics` critics, each with a loss of its own, actor and `best_of` believe the one that sees the goal
        farthest (in Eysenbach et al. 2022, whose code takes the least of two; 1 in the paper). The temperature aims at
        an entropy of `target_entropy_per_action` x A; without `entropy_bonus` the entropy term leaves the actor's loss.
        `actor_objective` is `max_entropy`, `ddpg_bc`, which weighs the likelihood of the data's actions by `bc_coef`,
        or `awr`, which divides advantages by `awr_temperature`. `random_goals` is the share of the actor's batch whose
        goals come from other trajectories instead of the own future (0.5 in Eysenbach et al. 2022, 0 in the paper).
        `embedding_l2_coef` weighs the mean squares of both embeddings' components in the critic's loss (JaxGCRL, 2024).
        `exploration` and `evaluation` name an action choice, of which `best_of` draws `num_candidates`. Raises
        ValueError for a value out of range.
        """
        super().__init__(parts)
        share("agent.random_goals", random_goals)
        at_least("agent.embedding_l2_coef", embedding_l2_coef, 0)
        at_least("agent.bc_coef", bc_coef, 0)
        above("agent.awr_temperature", awr_temperature, 0)
        if actor_objective not in ACTOR_OBJECTIVES:
            raise ValueError(suggest("actor objective", actor_objective, ACTOR_OBJECTIVES))
        self._actor_objective, self._bc_coef, self._awr_temperature = actor_objective, bc_coef, awr_temperature
        self._random_goals, self._embedding_l2_coef = random_goals, embedding_l2_coef
        self._entropy_bonus, spec = entropy_bonus, parts.spec
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
        sa_dim = spec.state_dim + spec.action_dim
        self._critics = add_critics(self, parts, num=num_critics, sa_dim=sa_dim, embedding_dim=embedding_dim)
        self._constant_critics = [critic.constant() for critic in self._critics]
        self.halves = Halves()
        self._losses = [copied(parts.loss) if critic.ending else parts.loss for critic in self._critics]
        learned = [p for critic in self._critics for p in critic.parameters()]
        for critic, loss in zip(self._critics, self._losses, strict=True):
            learned += [p for part in self.add_parts(**{f"loss{critic.ending}": loss}) for p in part.parameters()]
        self.add_optimizer("critic", learned, critic_lr)
        if actor_objective == "awr":
            self._add_value(parts, embedding_dim, critic_lr)

    def _add_value(self, parts: Parts, embedding_dim: int, lr: float) -> None:
        """Adds a critic that reads the state without an action, with an energy and a loss of its own."""
        phi = self.add_network("state_encoder", parts.sa_encoder, parts.spec.state_dim, embedding_dim)
        psi = self.add_network("value_goal_encoder", parts.goal_encoder, parts.spec.goal_dim, embedding_dim)
        self._value = EmbeddingCritic(self, phi, psi, copied(parts.energy), ending="_value")
        self._value_loss = copied(parts.loss)
        owners = self.add_parts(energy_value=self._value.energy, loss_value=self._value_loss)
        self.add_optimizer("value", [p for net in (phi, psi, *owners) for p in net.parameters()], lr)

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in (-1, 1) for N observations."""
        return self._actor.act(observation, explore=explore)

    def _score(self, observation: Observation, actions: Tensor) -> Tensor:
        state = observation.state.expand(*actions.shape[:-1], -1).flatten(0, 1)
        energies = []
        for critic in self._critics:
            sa = critic.embed(state, actions.flatten(0, 1)).unflatten(0, actions.shape[:2])
            energies.append(critic.energy.paired(sa, critic.embed_goal(observation.goal)))
        return least(energies)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step of the actor, the temperature and the critics; returns 0-dim metrics."""
        goals = [critic.embed_goal(batch.goal) for critic in self._critics]
        of_actor, of_critics = self.halves.run(
            lambda: self._update_actor(batch, [g.detach() for g in goals]), lambda: self._criticise(batch, goals)
        )
        self.apply("critic")
        return of_actor | of_critics

    def _update_actor(self, batch: Batch, goals: list[Tensor]) -> dict[str, Tensor]:
        goals = [self._actor_goals(g) for g in goals]

        def energy(action: Tensor) -> Tensor:
            critics = zip(self._constant_critics, goals, strict=True)
            return least([critic.energy.paired(critic.embed(batch.state, action), g) for critic, g in critics])

        update = {"max_entropy": self._climb, "ddpg_bc": self._climb_near_data, "awr": self._imitate_the_better}
        return update[self._actor_objective](batch, self._actor_goals(batch.goal), energy)

    def _climb(self, batch: Batch, goal: Tensor, energy: EnergyOf) -> dict[str, Tensor]:
        entropy_coef = self._temperature.alpha if self._entropy_bonus else 0.0
        metrics, log_prob = self._actor.climb(batch.state, goal, energy, entropy_coef, value_name="energy")
        return metrics | self._temperature.update(log_prob)

    def _climb_near_data(self, batch: Batch, goal: Tensor, energy: EnergyOf) -> dict[str, Tensor]:
        policy = self._actor.policy(batch.state, goal)
        action, _ = policy.rsample_with_log_prob(self.generators["actor_noise"])
        own, log_prob = energy(action), policy.log_prob(batch.action)
        loss = ddpg_bc(own, log_prob, bc_coef=self._bc_coef)
        return self._step_near_data(loss, policy, log_prob, batch) | {"actor/energy": own.detach().mean()}

    def _imitate_the_better(self, batch: Batch, goal: Tensor, energy: EnergyOf) -> dict[str, Tensor]:
        with torch.no_grad():
            usual = self._value.energy.paired(self._value.embed(batch.state), self._value.embed_goal(goal))
            advantage = energy(batch.action) - usual
        policy = self._actor.policy(batch.state, goal)
        log_prob = policy.log_prob(batch.action)
        loss = awr(advantage, log_prob, temperature=self._awr_temperature)
        metrics = self._step_near_data(loss, policy, log_prob, batch) | {"actor/advantage": advantage.mean()}
        return metrics | self._update_value(batch)

    def _step_near_data(self, loss: Tensor, policy: TanhGaussian, log_prob: Tensor, batch: Batch) -> dict[str, Tensor]:
        gradient_norm = self.step("actor", loss)
        return {
            "actor/loss": loss.detach(),
            "actor/log_prob": log_prob.detach().mean(),
            "actor/mse": (policy.mode().detach() - batch.action).square().mean(),
            "actor/log_std": policy.log_std.detach().mean(),
            "actor/gradient_norm": gradient_norm,
        }

    def _update_value(self, batch: Batch) -> dict[str, Tensor]:
        state, goal = self._value.embed(batch.state), self._value.embed_goal(batch.goal)
        loss, _ = contrast(self._value.energy, self._value_loss, state, goal)
        gradient_norm = self.step("value", loss)
        return {"critic/value_loss": loss.detach(), "critic/value_gradient_norm": gradient_norm}

    def _actor_goals(self, goal: Tensor) -> Tensor:
        """Gives the first rows of the batch, whose order is random, the goals [B, .] of their neighbours."""
        num_random = round(self._random_goals * goal.shape[0])
        return torch.cat([goal.roll(1, dims=0)[:num_random], goal[num_random:]]) if num_random else goal

    def _criticise(self, batch: Batch, goals: list[Tensor]) -> dict[str, Tensor]:
        """Leaves the critics' gradients to be applied, once the actor has read the critics; returns metrics."""
        losses, metrics = [], []
        for critic, loss, g in zip(self._critics, self._losses, goals, strict=True):
            sa = critic.embed(batch.state, batch.action)
            value, how_well = contrast(critic.energy, loss, sa, g)
            if self._embedding_l2_coef:
                value = value + self._embedding_l2_coef * (sa.square().mean() + g.square().mean())
            losses.append(value)
            metrics.append(how_well)
        loss = mean(losses)
        gradient_norm = self.backward("critic", loss)
        means = {f"critic/{name}": mean([each[name] for each in metrics]) for name in metrics[0]}
        return {"critic/loss": loss.detach(), "critic/gradient_norm": gradient_norm, **means}
