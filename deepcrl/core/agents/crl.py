"""Contrastive RL (paper section 3; released code train.py:733-841)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.action_choice import as_rows
from deepcrl.core.agents.common.acting.action_chunks import Chunks
from deepcrl.core.agents.common.acting.gaussian_actor import GaussianActor, Temperature, with_random_goals
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.actor_losses import (
    ACTOR_OBJECTIVES,
    actor_loss_awr,
    actor_loss_ddpg_bc,
    actor_loss_max_entropy,
)
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.contrastive_loss import contrastive_loss
from deepcrl.core.agents.common.embedding_critic import EmbeddingCritic, add_critics, mean, smallest
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.common.two_threads import TwoThreads
from deepcrl.core.agents.safe_crl import Survival
from deepcrl.core.checks import above, at_least, one_of, share
from deepcrl.core.components import AGENTS
from deepcrl.core.losses.weighted import check_weighted
from deepcrl.core.modules import copied
from deepcrl.core.types import Batch, Futures, Observation

UPDATE_ORDERS = ("actor_first", "critic_first")
"""What `agent.update_order` may be."""


@AGENTS.register("crl")
class CRL(TrainableAgent):
    """Contrastive RL: the critic tells which goal a state-action leads to, the actor maximises its energy.

    The critic is f(s, a, g) = energy(phi(s, a), psi(g)); a batch of B pairs has logits f [B, B], of which the diagonal
    are the true ones. One update takes the actor's step and the temperature's with the critic as it was, and the
    critic's, all on one batch: neither needs the other's result, so a CPU may compute both at once, in two threads. The
    goal embedding is computed once and shared. With `update_order=critic_first` the actor follows the critic as it is
    after its step, as in later code (ChronoSRL's). Nothing in `act` or `update` waits for the device.

    The actor objectives `ddpg_bc` and `awr` are for offline training: they keep to the actions of the data, and leave
    the temperature where it is. For the advantage, `awr` learns one more critic, which sees the state without the
    action: where one usually gets from there.

    With `survival` (Safe-CRL, `safe_crl`) the actor maximises energy + log Z(s, a), Z being the probability to
    survive, `log_z`; or the critic's rows count by the mass of what is left of their trajectories, `mass`; or `both`.
    The network of Z takes its step last. With a `chunk` of H (AC-CRL, `action_chunks`) critic and actor know H actions
    at once. Without them nothing changes.
    """

    def __init__(
        self,
        inputs: AgentInputs,
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
        policy: str = "tanh_gaussian",
        policy_std: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
        num_candidates: int = 8,
        chunk: int = 1,
        chunk_ends: str = "mask",
        survival: str = "none",
        survival_lr: float = 3e-4,
        survival_discount: float = 0.0,
        update_order: str = "actor_first",
    ) -> None:
        """Builds the networks and their optimisers.

        Of `num_critics` critics, each with a loss of its own, actor and `best_of` believe the one that sees the goal
        farthest (in Eysenbach et al. 2022, whose code takes the least of two; 1 in the paper). The temperature aims at
        an entropy of `target_entropy_per_action` x A; without `entropy_bonus` the entropy term leaves the actor's loss.
        `actor_objective` is `max_entropy`, `ddpg_bc`, which weighs the likelihood of the data's actions by `bc_coef`,
        `awr`, which divides advantages by `awr_temperature`, or `none`: the critic alone learns. `random_goals` is the
        share of the actor's batch whose goals come from other trajectories instead of the own future (0.5 in Eysenbach
        et al. 2022, 0 in the paper). `embedding_l2_coef` weighs the mean squares of both embeddings' components in the
        critic's loss (JaxGCRL, 2024). `policy` is `tanh_gaussian`, or `gaussian`, clipped to the bounds instead, and
        `policy_std` its standard deviation, 0 a learned one. `max_entropy` values what is drawn, after tanh or clip,
        and `gaussian` has densities from before the clip; `ddpg_bc` values the mode if the deviation is constant, else
        what is drawn (as OGBench does). `exploration` and `evaluation` name an action choice, of which `best_of` draws
        `num_candidates`. `chunk` is how many actions are one; rows whose actions end before it, `mask` or `zero_pad` as
        `chunk_ends` says. `survival` is `none`, `log_z`, `mass` or `both`, over a horizon of `survival_discount`; 0 is
        the discount of the relabelling. `update_order` is `actor_first`, as in the paper's code, or `critic_first`.
        Raises ValueError for a value out of range.
        """
        super().__init__(inputs)
        share("agent.random_goals", random_goals)
        at_least("agent.embedding_l2_coef", embedding_l2_coef, 0)
        at_least("agent.bc_coef", bc_coef, 0)
        above("agent.awr_temperature", awr_temperature, 0)
        one_of("actor objective", actor_objective, ACTOR_OBJECTIVES)
        one_of("agent.update_order", update_order, UPDATE_ORDERS)
        self._critic_first = update_order == "critic_first"
        self._actor_objective, self._bc_coef, self._awr_temperature = actor_objective, bc_coef, awr_temperature
        self._random_goals, self._embedding_l2_coef = random_goals, embedding_l2_coef
        self._entropy_bonus, spec = entropy_bonus, inputs.spec
        self._chunks, action_dim = Chunks(chunk, chunk_ends), chunk * spec.action_dim
        if self._chunks.masks:
            check_weighted(f"agent.chunk={chunk} with chunk_ends=mask", inputs.loss)
        self._actor = GaussianActor(
            self,
            inputs,
            lr=actor_lr,
            head=PolicyHead(policy, policy_std),
            exploration=exploration,
            evaluation=evaluation,
            value=self.value,
            num_candidates=num_candidates,
            chunk=chunk,
        )
        self._temperature = Temperature(self, lr=temperature_lr, target_entropy=target_entropy_per_action * action_dim)
        sa_dim = spec.state_dim + action_dim
        self._critics = add_critics(self, inputs, num=num_critics, sa_dim=sa_dim, embedding_dim=embedding_dim)
        self._detached_critics = [critic.detached() for critic in self._critics]
        self._losses = [copied(inputs.loss) if critic.suffix else inputs.loss for critic in self._critics]
        self._fused_infonce = inputs.fused_infonce(embedding_dim)
        trained = [p for critic in self._critics for p in critic.parameters()]
        for critic, loss in zip(self._critics, self._losses, strict=True):
            trained += [p for module in self.add_modules(**{f"loss{critic.suffix}": loss}) for p in module.parameters()]
        self.add_optimizer("critic", trained, critic_lr)
        if actor_objective == "awr":
            self._add_state_critic(inputs, embedding_dim, critic_lr)
        self._survival = Survival(
            self, inputs, mode=survival, lr=survival_lr, discount=survival_discount, action_dim=action_dim
        )
        if not self._critic_first:  # then there are not two independent halves
            self.two_threads = TwoThreads()

    @staticmethod
    def needs_futures(settings: Mapping[str, Any]) -> Futures | None:
        """Returns what batches must say of how trajectories go on, with these settings."""
        falls, chunk = settings["survival"] != "none", settings["chunk"]
        return Futures(falls=falls, chunk=chunk) if falls or chunk > 1 else None

    def _add_state_critic(self, inputs: AgentInputs, embedding_dim: int, lr: float) -> None:
        """Adds a critic that reads the state without an action, with an energy and a loss of its own."""
        phi = self.add_network("state_encoder", inputs.sa_encoder, inputs.spec.state_dim, embedding_dim)
        psi = self.add_network("value_goal_encoder", inputs.goal_encoder, inputs.spec.goal_dim, embedding_dim)
        self._state_critic = EmbeddingCritic(self, phi, psi, copied(inputs.energy), suffix="_value")
        self._state_critic_loss = copied(inputs.loss)
        modules = self.add_modules(energy_value=self._state_critic.energy, loss_value=self._state_critic_loss)
        self.add_optimizer("value", [p for module in (phi, psi, *modules) for p in module.parameters()], lr)

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        return self._actor.act(observation, explore=explore)

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns energies [..., N] of actions [..., N, A] at N observations; gradients reach the inputs only.

        With `log_z` they are energy + log Z, as in the actor's objective. With chunks an action may be one, [H A], or
        is followed by what the policy would do.
        """
        state, action_rows, _ = as_rows(observation, self._actor.completed(observation, action))
        energies = []
        for critic in self._detached_critics:
            sa = critic.embed(state, action_rows).view(*action.shape[:-1], -1)
            energies.append(critic.energy.paired(sa, critic.embed_goal(observation.goal)))
        value = smallest(energies)
        return value + self._survival.log_z(state, action_rows).view(value.shape) if self._survival.in_value else value

    def embed(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns phi [N, D] of N observations and actions [N, A], by the first critic."""
        return self._critics[0].embed(observation.state, self._actor.completed(observation, action))

    def embed_goal(self, goal: Tensor) -> Tensor:
        """Returns psi [N, D] of goals [N, G], by the first critic."""
        return self._critics[0].embed_goal(goal)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step of the actor, the temperature and the critics; returns 0-dim metrics."""
        goal_embeddings = [critic.embed_goal(batch.goal) for critic in self._critics]
        if self._critic_first:
            critic_metrics = self._backward_critics(batch, goal_embeddings)
            self.step_optimizer("critic")
            with torch.no_grad():
                goal_embeddings = [critic.embed_goal(batch.goal) for critic in self._critics]
            actor_metrics = self._update_actor(batch, goal_embeddings)
        else:
            actor_metrics, critic_metrics = self.two_threads.run(
                lambda: self._update_actor(batch, [g.detach() for g in goal_embeddings]),
                lambda: self._backward_critics(batch, goal_embeddings),
            )
            self.step_optimizer("critic")  # not before the actor's loss has read the critics
        self._survival.step()
        return actor_metrics | critic_metrics

    def _row_weight(self, batch: Batch) -> Tensor | None:
        """Returns how much each row [B] counts as a positive; None if all do fully."""
        survived, whole = self._survival.row_weight(batch), self._chunks.row_weight(batch)
        return survived if whole is None else whole if survived is None else survived * whole

    def _update_actor(self, batch: Batch, goal_embeddings: list[Tensor]) -> dict[str, Tensor]:
        """Takes a step of the actor, and of what its objective learns beside it; `goal_embeddings` [B, D] by critic."""
        if self._actor_objective == "none":
            return {}
        goal_embeddings = [with_random_goals(g, self._random_goals) for g in goal_embeddings]
        goal, done = with_random_goals(batch.goal, self._random_goals), self._chunks.of(batch)
        counts = self._chunks.row_weight(batch)

        def energy(action: Tensor) -> Tensor:
            critics = zip(self._detached_critics, goal_embeddings, strict=True)
            value = smallest([critic.energy.paired(critic.embed(batch.state, action), g) for critic, g in critics])
            return value + self._survival.log_z(batch.state, action) if self._survival.in_value else value

        if self._actor_objective == "awr":
            with torch.no_grad():
                state_value = self._state_critic.energy.paired(
                    self._state_critic.embed(batch.state), self._state_critic.embed_goal(goal)
                )
                advantage = energy(done) - state_value
            policy = self._actor.policy(batch.state, goal)
            loss, info = actor_loss_awr(policy, advantage, done, temperature=self._awr_temperature, weight=counts)
            metrics = self._actor.step(loss, info) | {"actor/advantage": advantage.mean()}
            return metrics | self._update_state_critic(batch)

        policy = self._actor.policy(batch.state, goal)
        if self._actor_objective == "ddpg_bc":
            value = energy(self._actor.proposal(policy))
            loss, info = actor_loss_ddpg_bc(policy, value, done, bc_coef=self._bc_coef, weight=counts)
            return self._actor.step(loss, info) | {"actor/energy": value.detach().mean()}

        action, log_prob = self._actor.rsample(policy)
        entropy_coef = self._temperature.alpha if self._entropy_bonus else 0.0
        loss, info = actor_loss_max_entropy(policy, energy(action), log_prob, entropy_coef=entropy_coef)
        return self._actor.step(loss, info) | self._temperature.update(log_prob)

    def _update_state_critic(self, batch: Batch) -> dict[str, Tensor]:
        critic = self._state_critic
        state, goal = critic.embed(batch.state), critic.embed_goal(batch.goal)
        loss, _ = contrastive_loss(
            critic.energy,
            self._state_critic_loss,
            state,
            goal,
            fused=self._fused_infonce,
            weight=self._row_weight(batch),
        )
        gradient_norm = self.step("value", loss)
        return {"critic/value_loss": loss.detach(), "critic/value_gradient_norm": gradient_norm}

    def _backward_critics(self, batch: Batch, goal_embeddings: list[Tensor]) -> dict[str, Tensor]:
        """Computes the critics' gradients, and survival's, and leaves the steps to `update`; returns metrics."""
        survival_info = self._survival.backward(batch, self._chunks.of(batch))
        loss, info = self._critic_loss(batch, goal_embeddings)
        gradient_norm = self.backward("critic", loss)
        return {"critic/loss": loss.detach(), "critic/gradient_norm": gradient_norm, **info, **survival_info}

    def _critic_loss(self, batch: Batch, goal_embeddings: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the mean of the critics' contrastive losses, and the means of their metrics."""
        losses, infos, weight = [], [], self._row_weight(batch)
        for critic, loss_of, g in zip(self._critics, self._losses, goal_embeddings, strict=True):
            sa = critic.embed(batch.state, self._chunks.of(batch))
            loss, info = contrastive_loss(critic.energy, loss_of, sa, g, fused=self._fused_infonce, weight=weight)
            if self._embedding_l2_coef:
                loss = loss + self._embedding_l2_coef * (sa.square().mean() + g.square().mean())
            losses.append(loss)
            infos.append(info)
        return mean(losses), {f"critic/{name}": mean([info[name] for info in infos]) for name in infos[0]}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | self._actor.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._actor.load_state_dict(state)
