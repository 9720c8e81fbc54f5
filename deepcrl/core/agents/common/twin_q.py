"""Two critics that learn the discounted return of a sparse goal reward by temporal differences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.checks import share
from deepcrl.core.modules import frozen
from deepcrl.core.types import TransitionBatch


class TwinQ:
    """Critics Q_1, Q_2 of state, action and goal, with targets: clipped double Q-learning (Fujimoto et al. 2018).

    The reward is 1 for every step that ends at the goal, within the task's success radius, else 0. Reaching it ends no
    episode, so a policy that stays there is worth 1 / (1 - discount). Nothing follows a step that terminated.
    """

    def __init__(self, agent: TrainableAgent, inputs: AgentInputs, *, lr: float, discount: float) -> None:
        """Adds networks `critic_1` and `critic_2`, their targets and their optimiser `critic` to the agent.

        Raises ValueError for a value out of range, and for a task that does not say when a goal is reached.
        """
        share("agent.discount", discount)
        spec = inputs.spec
        if spec.success_radius is None:
            raise ValueError(
                "agent learns from a reward, but the task states no success radius around its goals; use agent=crl"
            )
        self._agent, self._discount, self._radius = agent, discount, spec.success_radius
        in_dim = spec.state_dim + spec.action_dim + spec.goal_dim
        names = ("critic_1", "critic_2")
        self._nets = [agent.add_network(name, inputs.sa_encoder, in_dim, 1) for name in names]
        self._targets = [agent.add_target(name) for name in names]
        agent.add_optimizer("critic", [p for net in self._nets for p in net.parameters()], lr)

    def value(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Returns the smaller of the two critics' values [B]; gradients reach the inputs only."""
        with frozen(*self._nets):
            return torch.minimum(*self._values(self._nets, state, action, goal))

    def first_value(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Returns the first critic's values [B]; gradients reach the inputs only."""
        with frozen(self._nets[0]):
            return self._values(self._nets[:1], state, action, goal)[0]

    @torch.no_grad()
    def target(self, batch: TransitionBatch, next_action: Tensor, next_bonus: Tensor | float = 0.0) -> Tensor:
        """Returns r + discount (min_i Q'_i(s', a', g) + bonus), or r alone for steps that terminated: [B].

        `next_action` [B, A] is the policy's at s', `next_bonus` [B] what it earns there beside the value.
        """
        next_value = torch.minimum(*self._values(self._targets, batch.next_state, next_action, batch.goal))
        goes_on = self._discount * ~batch.terminated
        return self.reward(batch) + goes_on * (next_value + next_bonus)

    def reward(self, batch: TransitionBatch) -> Tensor:
        """Returns whether each step ended at the goal, [B] float32."""
        distance = torch.linalg.vector_norm(batch.next_achieved - batch.goal, dim=-1)
        return (distance < self._radius).float()

    def loss(self, batch: TransitionBatch, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the sum of both critics' mean squared errors to `target` [B], and metrics."""
        values = self._values(self._nets, batch.state, batch.action, batch.goal)
        loss = torch.stack([(value - target).square().mean() for value in values]).sum()
        return loss, {
            "critic/value": torch.stack(values).detach().mean(),
            "critic/target": target.mean(),
            "critic/reward": self.reward(batch).mean(),
        }

    def _values(self, nets: list[nn.Module], state: Tensor, action: Tensor, goal: Tensor) -> list[Tensor]:
        return [self._agent.encode(net, state, action, goal).squeeze(-1) for net in nets]
