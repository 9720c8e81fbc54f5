"""Two critics that learn the discounted return of a sparse goal reward by temporal differences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.inputs import Parts
from deepcrl.core.agents.common.learner import Learner, frozen
from deepcrl.core.checks import share
from deepcrl.core.types import Observation, TransitionBatch


class TwinQ:
    """Critics Q_1, Q_2 of state, action and goal, with targets: clipped double Q-learning (Fujimoto et al. 2018).

    The reward is 1 for every step that ends at the goal, within the task's success radius, else 0. Reaching it ends no
    episode, so a policy that stays there is worth 1 / (1 - discount). Nothing follows a step that terminated.
    """

    def __init__(self, learner: Learner, parts: Parts, *, lr: float, discount: float) -> None:
        """Adds networks `critic_1` and `critic_2`, their targets and their optimiser to the learner.

        Raises ValueError for a value out of range, and for a task that does not say when a goal is reached.
        """
        share("agent.discount", discount)
        spec = parts.spec
        if spec.success_radius is None:
            raise ValueError(
                "agent learns from a reward, but the task states no success radius around its goals; use agent=crl"
            )
        self._learner, self._discount, self._radius = learner, discount, spec.success_radius
        in_dim = spec.state_dim + spec.action_dim + spec.goal_dim
        self._names = ("critic_1", "critic_2")
        self._nets = [learner.add_network(name, parts.sa_encoder, in_dim, 1) for name in self._names]
        self._targets = [learner.add_target(name) for name in self._names]
        learner.add_optimizer("critic", [p for net in self._nets for p in net.parameters()], lr)

    def value(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Returns the smaller of the two critics' values [B], of which the action feels the gradient alone."""
        with frozen(*self._nets):
            return torch.minimum(*self._values(self._nets, state, action, goal))

    def first_value(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Returns the first critic's values [B], of which the action feels the gradient alone."""
        with frozen(self._nets[0]):
            return self._values(self._nets[:1], state, action, goal)[0]

    def score(self, observation: Observation, actions: Tensor) -> Tensor:
        """Returns the values [K, N] of actions [K, N, A]."""
        state, goal = (x.expand(*actions.shape[:-1], -1).flatten(0, 1) for x in (observation.state, observation.goal))
        return self.value(state, actions.flatten(0, 1), goal).unflatten(0, actions.shape[:2])

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

    def update(self, batch: TransitionBatch, target: Tensor) -> dict[str, Tensor]:
        """Takes a step of both critics towards `target` [B]: the sum of their mean squared errors."""
        values = self._values(self._nets, batch.state, batch.action, batch.goal)
        loss = torch.stack([(value - target).square().mean() for value in values]).sum()
        gradient_norm = self._learner.step("critic", loss)
        return {
            "critic/loss": loss.detach(),
            "critic/gradient_norm": gradient_norm,
            "critic/value": torch.stack(values).detach().mean(),
            "critic/target": target.mean(),
            "critic/reward": self.reward(batch).mean(),
        }

    def _values(self, nets: list[nn.Module], state: Tensor, action: Tensor, goal: Tensor) -> list[Tensor]:
        return [self._learner.encode(net, state, action, goal).squeeze(-1) for net in nets]
