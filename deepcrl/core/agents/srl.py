"""Survival RL (arXiv 2605.31273): a critic that classifies when a goal is first reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from deepcrl.core.agents.common.acting.action_choice import as_rows
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.hitting.agent import HittingAgent
from deepcrl.core.agents.hitting.bins import TimeBins, bin_edges
from deepcrl.core.agents.hitting.hazard import hazard_nll, hazard_value, value_weights
from deepcrl.core.agents.hitting.labels import Dwell, GoalDraws, HittingLabels
from deepcrl.core.agents.hitting.networks import HazardHead
from deepcrl.core.checks import discount_factor
from deepcrl.core.components import AGENTS
from deepcrl.core.modules import frozen
from deepcrl.core.types import FutureBatch, Futures, Observation


@AGENTS.register("srl")
class SRL(HittingAgent):
    """The critic gives the distribution of the first step T at which the goal is reached, as hazards of time bins.

    It is fitted by maximum likelihood to when goals were reached in hindsight (`hitting.labels`): no bootstrapping, no
    target network, no negatives. Its value, -sum_t discount^t P(T > t), is in closed form, and the actor maximises it
    and its entropy. A goal may be a sequence of `dwell_steps` places to be at in turn, a trajectory's own or one place
    again and again, which is what the actor asks for: then flying by is not enough. One update steps the critic, then
    the actor with the new critic, then the temperature, all on one batch; the agent draws the goals itself, of windows
    of its batches, so that neither the buffer's relabelling nor an energy or a loss has an effect.
    """

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        horizon: int = 1000,
        num_bins: int = 1000,
        radius: float = 0.0,
        dwell_steps: int = 1,
        dwell_stride: int = 1,
        censor: str = "horizon",
        future_share: float = 0.85,
        current_share: float = 0.05,
        random_share: float = 0.1,
        random_goals: float = 0.0,
        goal_discount: float = 0.999,
        discount: float = 0.999,
        tail: bool = False,
        embedding_dim: int = 128,
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
        """Builds the actor and the critic: two encoders of half the run's depth, and `head`, of all of it.

        Of `horizon` steps, in `num_bins` (`hitting.bins`), a goal is reached at one that is within `radius` of it, 0
        being the task's own. `dwell_steps` places, `dwell_stride` steps apart, make a goal. One that was not seen to be
        reached is never reached, `censor=horizon`, or not until the trajectory's end, `observed`. Goals are drawn in
        the shares `future_share`, with `goal_discount`, `current_share` and `random_share`, divided by their sum. The
        value discounts by `discount`, with `tail` beyond the horizon too. Bins are a combination of `basis_rank`
        functions. Of the actor's batch the share `random_goals` takes those of other rows, as in `crl`; the
        rest is as there too. Raises ValueError for a value out of range.
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
        discount_factor("agent.discount", discount)
        self._bins, self._weights = bins, value_weights(bins, discount, tail=tail)
        self._add_critic(inputs, embedding_dim, basis_rank, critic_lr)
        self._add_actor(
            inputs,
            chunk=1,
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
        """Returns the window that labels are read from, with these settings."""
        dwell = Dwell(settings["dwell_steps"], settings["dwell_stride"])
        return Futures(window=dwell.window(settings["horizon"]))

    def _add_critic(self, inputs: AgentInputs, embedding_dim: int, basis_rank: int, lr: float) -> None:
        spec = inputs.spec
        self._head = HazardHead(
            self, inputs, embedding_dim=embedding_dim, basis_rank=basis_rank, num_bins=self._bins.num
        )
        sa_encoder = inputs.half_sa_encoder or inputs.sa_encoder
        goal_encoder = inputs.half_goal_encoder or inputs.goal_encoder
        goal_dim = self._dwell.steps * spec.goal_dim
        self._phi = self.add_network("sa_encoder", sa_encoder, spec.state_dim + spec.action_dim, embedding_dim)
        self._psi = self.add_network("goal_encoder", goal_encoder, goal_dim, embedding_dim)
        self._sa_norm, self._goal_norm = self.add_modules(
            sa_norm=nn.LayerNorm(embedding_dim), goal_norm=nn.LayerNorm(embedding_dim)
        )
        self._critic = [self._phi, self._psi, self._sa_norm, self._goal_norm, *self._head.modules()]
        self.add_optimizer("critic", [p for module in self._critic for p in module.parameters()], lr)

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns values [..., N] of actions [..., N, A] for staying at the goals; gradients reach the inputs only."""
        state, action_rows, _ = as_rows(observation, action)
        with frozen(*self._critic):
            g = self._embed_goal(observation.goal[:, None].expand(-1, self._dwell.steps, -1))
            g = g.expand(*action.shape[:-1], -1).reshape(len(state), -1)
            return hazard_value(*self._hazards(state, action_rows, g), self._weights).view(action.shape[:-1])

    def _critic_loss(self, batch: FutureBatch, goal: Tensor, labels: HittingLabels) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the mean of minus the log likelihood over the rows whose label says something, and metrics."""
        logit0, logits = self._hazards(batch.state, batch.action, self._embed_goal(goal))
        nll = hazard_nll(logit0, logits, labels, self._bins)
        known = labels.known.float()
        loss = (nll * known).sum() / known.sum().clamp_min(1)
        return loss, {"critic/hit_at_once": logit0.detach().sigmoid().mean()}

    def _embed_goal(self, goal: Tensor) -> Tensor:
        """Returns embeddings [B, D] of goals [B, m, G]."""
        return self._goal_norm(self.encode(self._psi, goal.flatten(1)))

    def _hazards(self, state: Tensor, action: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits [B] and [B, K] of states, actions and embedded goals [B, D]."""
        logit0, logits, _ = self._head(self._sa_norm(self.encode(self._phi, state, action)), g)
        return logit0, logits
