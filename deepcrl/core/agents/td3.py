"""TD3 (Fujimoto et al. 2018) for goals, in hindsight or commanded (HER, Andrychowicz et al. 2017)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.action_choice import as_rows
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.common.twin_q import TwinQ
from deepcrl.core.checks import at_least, share
from deepcrl.core.components import AGENTS
from deepcrl.core.states import check_count, check_scalars
from deepcrl.core.types import Observation, TransitionBatch


@AGENTS.register("td3")
class TD3(TrainableAgent):
    """Twin delayed deterministic policy gradient on a sparse reward, one step of the actor to two of the critics.

    Goals, reward and hindsight are as in `sac`. The policy is tanh of the actor; exploring adds Gaussian noise. Steps
    that leave the actor alone report the metrics of its last one.
    """

    needs_transitions = True
    unused_groups = ("energy", "loss", "goal_encoder")

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        discount: float = 0.99,
        tau: float = 0.005,
        policy_delay: int = 2,
        exploration_noise: float = 0.1,
        target_noise: float = 0.2,
        target_noise_clip: float = 0.5,
    ) -> None:
        """Builds the actor, two critics of `critic_encoder` or `sa_encoder`, and targets of all three.

        The actor and the targets move at every `policy_delay`-th update, the first included; targets by the share
        `tau`. `exploration_noise` is the standard deviation added to actions, `target_noise` that of the target's
        actions, whose noise is clipped at `target_noise_clip`; actions reach from -1 to 1. Raises ValueError for a
        value out of range, or a task that states no success radius.
        """
        super().__init__(inputs)
        share("agent.tau", tau)
        if policy_delay < 1:
            raise ValueError(f"agent.policy_delay must be at least 1 update, got {policy_delay}")
        at_least("agent.exploration_noise", exploration_noise, 0)
        at_least("agent.target_noise", target_noise, 0)
        at_least("agent.target_noise_clip", target_noise_clip, 0)
        self._tau, self._policy_delay, self._exploration_noise = tau, policy_delay, exploration_noise
        self._target_noise, self._target_noise_clip = target_noise, target_noise_clip
        spec = inputs.spec
        self.actor = self.add_network("actor", inputs.actor_encoder, spec.state_dim + spec.goal_dim, spec.action_dim)
        self.add_optimizer("actor", list(self.actor.parameters()), actor_lr)
        self._target_actor = self.add_target("actor")
        self._critics = TwinQ(self, inputs, lr=critic_lr, discount=discount)
        for name in ("explore", "target_noise"):
            self.add_generator(name)
        self._num_updates = 0
        self._actor_metrics: dict[str, Tensor] = {}

    @property
    def no_cuda_graph_reason(self) -> str:
        """Why an update does not fit into a CUDA graph, "" if it does."""
        if self._policy_delay == 1:
            return ""
        return f"agent.policy_delay={self._policy_delay} takes two kinds of steps; it must be 1"

    @torch.no_grad()
    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        action = self._policy(observation.state.to(self._device), observation.goal.to(self._device))
        if explore:
            action = action + self._exploration_noise * self._normal_like(action, "explore")
        return action.clamp(-1, 1)

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns the smaller values [..., N] of actions [..., N, A]; gradients reach the inputs only."""
        return self._critics.value(*as_rows(observation, action)).view(action.shape[:-1])

    def update(self, batch: TransitionBatch) -> dict[str, Tensor]:
        """Takes one gradient step of the critics, and of the actor if it is its turn; returns 0-dim metrics."""
        target = self._critics.target(batch, self._target_action(batch))
        critic_loss, info = self._critics.loss(batch, target)
        gradient_norm = self.step("critic", critic_loss)
        metrics = {"critic/loss": critic_loss.detach(), "critic/gradient_norm": gradient_norm, **info}
        if self._num_updates % self._policy_delay == 0:
            self._actor_metrics = self._update_actor(batch)
            self.move_targets(self._tau)
        self._num_updates += 1
        return metrics | self._actor_metrics

    @torch.no_grad()
    def _target_action(self, batch: TransitionBatch) -> Tensor:
        """Returns what the target actor does in s', with clipped noise: target policy smoothing."""
        action = self.encode(self._target_actor, batch.next_state, batch.goal).tanh()
        noise = self._target_noise * self._normal_like(action, "target_noise")
        return (action + noise.clamp(-self._target_noise_clip, self._target_noise_clip)).clamp(-1, 1)

    def _update_actor(self, batch: TransitionBatch) -> dict[str, Tensor]:
        loss, info = self._actor_loss(batch)
        gradient_norm = self.step("actor", loss)
        return {"actor/loss": loss.detach(), **info, "actor/gradient_norm": gradient_norm}

    def _actor_loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns minus the mean value of the policy's own actions, by the first critic as in the paper."""
        action = self._policy(batch.state, batch.goal)
        value = self._critics.first_value(batch.state, action, batch.goal).mean()
        return -value, {"actor/value": value.detach()}

    def _policy(self, state: Tensor, goal: Tensor) -> Tensor:
        return self.encode(self.actor, state, goal).tanh()

    def _normal_like(self, like: Tensor, stream: str) -> Tensor:
        return torch.randn(like.shape, generator=self.generators[stream], device=like.device)

    def state_dict(self) -> dict[str, Any]:
        own = {"num_updates": self._num_updates, "actor_metrics": self._actor_metrics}
        return super().state_dict() | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        check_count("num_updates", state["num_updates"])
        check_scalars("actor_metrics", state["actor_metrics"])
        self._num_updates = state["num_updates"]
        self._actor_metrics = {name: value.to(self._device) for name, value in state["actor_metrics"].items()}
