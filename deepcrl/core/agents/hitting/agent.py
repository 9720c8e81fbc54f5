"""The base class of agents that learn when a goal is reached: their goals, and the order of their updates."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from deepcrl.core.agents.common.acting.gaussian_actor import GaussianActor, Temperature, with_random_goals
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.actor_losses import actor_loss_max_entropy
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.hitting.labels import CENSORS, Dwell, GoalDraws, HittingLabels, hitting_labels
from deepcrl.core.checks import at_least, one_of, share
from deepcrl.core.types import EnvSpec, FutureBatch, Observation


class HittingAgent(TrainableAgent):
    """Draws the goals of its batches itself, of the windows that they hold, and labels when each is reached.

    So neither the buffer's relabelling nor an energy or a loss has an effect. One update steps the critic, then the
    actor with the new critic, then the temperature, all on one batch. A subclass brings the critic and its optimiser
    `critic`, `_critic_loss` and `value`.
    """

    unused_groups = ("energy", "loss", "relabel")

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        horizon: int,
        radius: float,
        dwell: Dwell,
        censor: str,
        draw_goals: GoalDraws,
        random_goals: float,
    ) -> None:
        """Raises ValueError for a value out of range, and for no `radius` where the task has none."""
        super().__init__(inputs)
        one_of("agent.censor", censor, CENSORS)
        share("agent.random_goals", random_goals)
        _check_dwell(dwell, horizon)
        self._horizon, self._radius, self._dwell = horizon, self._checked_radius(radius, inputs.spec), dwell
        self._censor, self._draw_goals, self._random_goals = censor, draw_goals, random_goals
        self.add_generator("goals")

    def _checked_radius(self, radius: float, spec: EnvSpec) -> float:
        at_least("agent.radius", radius, 0)
        if not radius and spec.success_radius is None:
            raise ValueError(
                f"agent={type(self).__name__.lower()} learns when a goal is reached, but the task states no success "
                "radius around its goals; set agent.radius, such as 0.5"
            )
        return radius or spec.success_radius or 0.0

    def _add_actor(
        self,
        inputs: AgentInputs,
        *,
        chunk: int,
        lr: float,
        temperature_lr: float,
        target_entropy_per_action: float,
        entropy_bonus: bool,
        head: PolicyHead,
        exploration: str,
        evaluation: str,
        num_candidates: int,
    ) -> None:
        self._actor = GaussianActor(
            self,
            inputs,
            lr=lr,
            head=head,
            exploration=exploration,
            evaluation=evaluation,
            value=self.value,
            num_candidates=num_candidates,
            chunk=chunk,
        )
        target_entropy = target_entropy_per_action * chunk * inputs.spec.action_dim
        self._temperature = Temperature(self, lr=temperature_lr, target_entropy=target_entropy)
        self._entropy_bonus = entropy_bonus

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        return self._actor.act(observation, explore=explore)

    @abstractmethod
    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns values [..., N] of actions [..., N, A] for staying at the goals; gradients reach the inputs only."""

    @abstractmethod
    def _critic_loss(self, batch: FutureBatch, goal: Tensor, labels: HittingLabels) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the critic's loss for goals [B, m, G], and metrics."""

    def update(self, batch: FutureBatch) -> dict[str, Tensor]:
        """Takes one gradient step of the critic, the actor and the temperature; returns 0-dim metrics."""
        goal = self._draw_goals(batch, self._horizon, self.generators["goals"])
        labels = hitting_labels(
            batch, goal, radius=self._radius, horizon=self._horizon, dwell=self._dwell, censor=self._censor
        )
        loss, info = self._critic_loss(batch, goal, labels)
        gradient_norm = self.step("critic", loss)
        metrics = {"critic/loss": loss.detach(), "critic/gradient_norm": gradient_norm, **info}
        metrics |= labels.metrics(self._horizon)
        return metrics | self._update_actor(batch.state, with_random_goals(goal[:, 0], self._random_goals))

    def _update_actor(self, state: Tensor, goal: Tensor) -> dict[str, Tensor]:
        """Takes a step of the actor and of the temperature, for states [B, S] and goals [B, G]."""
        policy = self._actor.policy(state, goal)
        action, log_prob = self._actor.rsample(policy)
        value = self.value(Observation(state, goal), action)
        entropy_coef = self._temperature.alpha if self._entropy_bonus else 0.0
        loss, info = actor_loss_max_entropy(policy, value, log_prob, entropy_coef=entropy_coef, value_name="value")
        return self._actor.step(loss, info) | self._temperature.update(log_prob)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | self._actor.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._actor.load_state_dict(state)


def _check_dwell(dwell: Dwell, horizon: int) -> None:
    at_least("agent.dwell_steps", dwell.steps, 1)
    at_least("agent.dwell_stride", dwell.stride, 1)
    if dwell.span >= horizon:
        raise ValueError(
            f"agent.dwell_steps={dwell.steps} x dwell_stride={dwell.stride} does not fit into "
            f"agent.horizon={horizon}; lower one"
        )
