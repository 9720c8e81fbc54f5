"""ChronoSRL (Bohlinger and Peters 2026, arXiv 2609.36238): embeddings whose distance is time to the goal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from deepcrl.core.agents.common.acting.action_choice import as_rows
from deepcrl.core.agents.common.acting.action_chunks import Chunks
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.hitting.agent import HittingAgent
from deepcrl.core.agents.hitting.bins import TimeBins, bin_edges
from deepcrl.core.agents.hitting.hazard import hazard_nll, hazard_value, value_weights
from deepcrl.core.agents.hitting.labels import Dwell, GoalDraws, HittingLabels
from deepcrl.core.agents.hitting.networks import HazardHead
from deepcrl.core.agents.hitting.occupancy import occupancy_labels, occupancy_weights
from deepcrl.core.agents.hitting.time_distance import separation_loss, time_loss
from deepcrl.core.checks import at_least, discount_factor
from deepcrl.core.components import AGENTS
from deepcrl.core.energies import Norm
from deepcrl.core.modules import frozen
from deepcrl.core.types import FutureBatch, Futures, Observation


@AGENTS.register("chronosrl")
class ChronoSRL(HittingAgent):
    """Survival RL (`srl`) on embeddings whose distance |phi(s, a) - psi(g)| is -log(discount) x the steps from s to g.

    Goals that are not reached are kept a horizon away. From both embeddings a head gives the hazards of the first step
    at the goal, as in `srl`, and the share of the later steps that are spent near it. The actor maximises

        Q = -sum_t discount^t P(T > t) + beta sum_t discount^t P(near the goal at t),

    where beta is the share of the batch whose trajectories fall: where nothing falls, the time near the goal shapes the
    networks only. Actions come in chunks (`action_chunks`). One update steps the critic, then the actor with the new
    critic, then the temperature; the agent draws the goals itself, as `srl` does.
    """

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        chunk: int = 2,
        chunk_ends: str = "mask",
        horizon: int = 1000,
        num_bins: int = 1000,
        occupancy_bins: int = 32,
        radius: float = 0.0,
        dwell_steps: int = 1,
        dwell_stride: int = 1,
        censor: str = "horizon",
        future_share: float = 0.85,
        current_share: float = 0.05,
        random_share: float = 0.1,
        random_goals: float = 0.0,
        goal_discount: float = 0.99,
        discount: float = 0.999,
        time_coef: float = 1.0,
        separation_coef: float = 1.0,
        occupancy_coef: float = 1.0,
        occupancy_value: bool = True,
        embedding_dim: int = 64,
        basis_rank: int = 64,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        temperature_lr: float = 3e-4,
        target_entropy_per_action: float = -0.5,
        entropy_bonus: bool = True,
        policy: str = "tanh_gaussian",
        policy_std: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
        num_candidates: int = 8,
    ) -> None:
        """Builds the actor and the critic: two encoders and `head`, each of the run's depth.

        `time_coef`, `separation_coef` and `occupancy_coef` weigh the losses beside the hazards', `occupancy_bins` are
        those of the steps near the goal, which grow geometrically, and without `occupancy_value` beta is 0. `chunk` and
        `chunk_ends` are as in `crl`, the rest as in `srl`. Raises ValueError for a value out of range.
        """
        bins, dwell = TimeBins(bin_edges(horizon, num_bins), inputs.device), Dwell(dwell_steps, dwell_stride)
        super().__init__(
            inputs,
            horizon=horizon,
            radius=radius,
            dwell=dwell,
            censor=censor,
            draw_goals=GoalDraws(
                future=future_share, current=current_share, random=random_share, discount=goal_discount, dwell=dwell
            ),
            random_goals=random_goals,
        )
        self._chunks = Chunks(chunk, chunk_ends)
        self._occupancy_bins = TimeBins(bin_edges(horizon, occupancy_bins, "occupancy_bins"), inputs.device)
        discount_factor("agent.discount", discount)
        coefs = {"time": time_coef, "separation": separation_coef, "occupancy": occupancy_coef}
        for name, coef in coefs.items():
            at_least(f"agent.{name}_coef", coef, 0)
        self._coefs, self._per_step = coefs, -math.log(discount)
        self._bins, self._weights = bins, value_weights(bins, discount, tail=False)
        self._occupancy_weights = occupancy_weights(self._occupancy_bins, discount)
        self._occupancy_value = occupancy_value
        self.fall_share = self.add_scalar("fall_share", 0.0)
        self._add_critic(inputs, embedding_dim, basis_rank, critic_lr)
        self._add_actor(
            inputs,
            chunk=chunk,
            lr=actor_lr,
            temperature_lr=temperature_lr,
            target_entropy_per_action=target_entropy_per_action,
            entropy_bonus=entropy_bonus,
            head=PolicyHead(policy, policy_std),
            exploration=exploration,
            evaluation=evaluation,
            num_candidates=num_candidates,
        )

    @staticmethod
    def needs_futures(settings: Mapping[str, Any]) -> Futures:
        """Returns the window that labels are read from, and the chunk, with these settings."""
        dwell = Dwell(settings["dwell_steps"], settings["dwell_stride"])
        return Futures(chunk=settings["chunk"], window=dwell.window(settings["horizon"]))

    def _add_critic(self, inputs: AgentInputs, embedding_dim: int, basis_rank: int, lr: float) -> None:
        spec = inputs.spec
        self._head = HazardHead(
            self,
            inputs,
            embedding_dim=embedding_dim,
            basis_rank=basis_rank,
            num_bins=self._bins.num,
            num_extra=self._occupancy_bins.num,
        )
        sa_dim = spec.state_dim + self._chunks.length * spec.action_dim
        self._phi = self.add_network("sa_encoder", inputs.sa_encoder, sa_dim, embedding_dim)
        goal_dim = self._dwell.steps * spec.goal_dim
        self._psi = self.add_network("goal_encoder", inputs.goal_encoder, goal_dim, embedding_dim)
        self._critic = [self._phi, self._psi, *self._head.modules()]
        self.add_optimizer("critic", [p for module in self._critic for p in module.parameters()], lr)

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns Q [..., N] of actions [..., N, A] or chunks [..., N, H A]; gradients reach the inputs only."""
        state, chunk, goal = as_rows(observation, self._actor.completed(observation, action))
        with frozen(*self._critic):
            g = self._embed_goal(goal[:, None].expand(-1, self._dwell.steps, -1))
            logit0, logits, occupancy = self._head(self.encode(self._phi, state, chunk), g)
        near = occupancy.sigmoid() @ self._occupancy_weights
        value = hazard_value(logit0, logits, self._weights) + self.fall_share.detach() * near
        return value.view(action.shape[:-1])

    def embed(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns phi [N, D] of N observations and actions [N, A] or chunks [N, H A]."""
        return self.encode(self._phi, observation.state, self._actor.completed(observation, action))

    def embed_goal(self, goal: Tensor) -> Tensor:
        """Returns psi [N, D] of goals [N, G], to stay there."""
        return self._embed_goal(goal[:, None].expand(-1, self._dwell.steps, -1))

    def _valid(self, batch: FutureBatch) -> Tensor:
        """Returns which rows [B] have whole chunks, or all of them where that is not asked for."""
        weight = self._chunks.row_weight(batch)
        return torch.ones_like(batch.fell) if weight is None else weight > 0

    def _critic_loss(self, batch: FutureBatch, goal: Tensor, labels: HittingLabels) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the sum of the four losses, and metrics; notes the share of the batch that falls."""
        valid = self._valid(batch)
        if self._occupancy_value:
            falls = batch.fell & (batch.steps_left < self._horizon) & valid
            self.fall_share.data.copy_(falls.sum() / valid.sum().clamp_min(1))
        sa, g = self.encode(self._phi, batch.state, self._chunks.of(batch)), self._embed_goal(goal)
        logit0, logits, occupancy = self._head(sa, g)
        distances = -Norm().pairwise(sa, g)
        share, num_seen = occupancy_labels(
            batch, goal[:, 0], radius=self._radius, bins=self._occupancy_bins, horizon=self._horizon
        )
        seen, known = valid[:, None] & (num_seen > 0), valid & labels.known
        bce = binary_cross_entropy_with_logits(occupancy, share, reduction="none")
        losses = {
            "time": time_loss(distances.diagonal(), labels, valid, per_step=self._per_step),
            "separation": separation_loss(
                distances, goal[:, 0], labels, valid, radius=self._radius, margin=self._per_step * self._horizon
            ),
            "occupancy": (bce * seen).sum() / seen.sum().clamp_min(1),
        }
        hazard = (hazard_nll(logit0, logits, labels, self._bins) * known).sum() / known.sum().clamp_min(1)
        total = hazard + sum(self._coefs[name] * loss for name, loss in losses.items())
        info = {f"critic/{name}_loss": loss.detach() for name, loss in losses.items()}
        steps, num_shares = distances.detach().diagonal() / self._per_step, seen.sum().clamp_min(1)
        info |= {
            "critic/hazard_loss": hazard.detach(),
            "critic/hit_at_once": logit0.detach().sigmoid().mean(),
            "critic/steps_by_distance": labels.mean_later(steps, self._horizon),
            "critic/occupancy": (share * seen).sum() / num_shares,
            "critic/occupancy_predicted": (occupancy.detach().sigmoid() * seen).sum() / num_shares,
            "actor/fall_share": self.fall_share.detach().clone(),
        }
        return total, info

    def _embed_goal(self, goal: Tensor) -> Tensor:
        """Returns embeddings [B, D] of goals [B, m, G]."""
        return self.encode(self._psi, goal.flatten(1))
