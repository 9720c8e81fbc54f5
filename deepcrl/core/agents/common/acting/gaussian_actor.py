"""A Gaussian as actor: its network, how it chooses actions, and the learned weight of its entropy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepcrl.core.agents.common.acting.action_choice import Value, action_choice
from deepcrl.core.agents.common.acting.action_chunks import Plan
from deepcrl.core.agents.common.acting.policy import Policy, PolicyHead
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.checks import above
from deepcrl.core.types import Observation


class GaussianActor:
    """The network `actor` of an agent, a policy of state and goal."""

    def __init__(
        self,
        agent: TrainableAgent,
        inputs: AgentInputs,
        *,
        lr: float,
        head: PolicyHead,
        exploration: str,
        evaluation: str,
        value: Value | None = None,
        num_candidates: int = 1,
        chunk: int = 1,
    ) -> None:
        """Adds the network, its optimiser and its random streams to the agent.

        `head` reads the network's output. `exploration` and `evaluation` name an action choice, of which `best_of`
        draws `num_candidates` and takes the one of the highest `value`, which is None if the agent has no critic to
        choose by. With a `chunk` of H the policy is one of H actions at once, [H A], which are carried out one after
        the other. Raises ValueError for an unknown choice.
        """
        above("agent.num_candidates", num_candidates, 0)
        self._explore, self._exploit = (
            action_choice(name, value=value, num_candidates=num_candidates) for name in (exploration, evaluation)
        )
        self._agent, self._device, self._head = agent, inputs.device, head
        spec = inputs.spec
        self._chunk, self._action_dim = chunk, spec.action_dim
        self._plans = {"explore": Plan(chunk), "evaluate": Plan(chunk)}
        num_features = head.num_features(chunk * spec.action_dim)
        self.net = agent.add_network("actor", inputs.actor_encoder, spec.state_dim + spec.goal_dim, num_features)
        agent.add_optimizer("actor", list(self.net.parameters()), lr)
        for name in ("explore", "evaluate", "actor_noise"):
            agent.add_generator(name)

    @torch.no_grad()
    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        first = observation.first if observation.first is None else observation.first.to(self._device)
        observation = Observation(observation.state.to(self._device), observation.goal.to(self._device))
        choose, stream = (self._explore, "explore") if explore else (self._exploit, "evaluate")
        policy = self.policy(observation.state, observation.goal)
        chunks = choose(policy, observation, self._agent.generators[stream])
        return self._plans[stream].next_action(chunks, first)

    def completed(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns actions [..., N, A] as chunks [..., N, H A], which go on as the policy would; chunks as they are."""
        if action.shape[-1] == self._chunk * self._action_dim:
            return action
        with torch.no_grad():
            later = self.policy(observation.state, observation.goal).mode()[:, self._action_dim :]
        return torch.cat([action, later.expand(*action.shape[:-1], -1)], dim=-1)

    def state_dict(self) -> dict[str, Any]:
        """Returns the plan that exploration carries out, if there is one; an evaluation begins with a new one."""
        return {"plan": self._plans["explore"].state_dict()} if self._chunk > 1 else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._chunk > 1:
            self._plans["explore"].load_state_dict(state["plan"], self._action_dim)

    def policy(self, state: Tensor, goal: Tensor) -> Policy:
        """Returns the policy at states [B, S] and goals [B, G]."""
        return self._head(self._agent.encode(self.net, state, goal))

    def rsample(self, policy: Policy) -> tuple[Tensor, Tensor]:
        """Draws actions [B, A] for an update, differentiably, with their log density [B]."""
        return policy.rsample_with_log_prob(self._agent.generators["actor_noise"])

    def proposal(self, policy: Policy) -> Tensor:
        """Returns the actions [B, A] whose value DDPG+BC raises: draws, or the mode if the deviation is constant."""
        return self.rsample(policy)[0] if self._head.learns_std else policy.mode()

    def step(self, loss: Tensor, info: dict[str, Tensor]) -> dict[str, Tensor]:
        """Takes one step of the actor down its loss; returns `info` with the loss and its gradient's norm."""
        gradient_norm = self._agent.step("actor", loss)
        return {"actor/loss": loss.detach(), **info, "actor/gradient_norm": gradient_norm}


def with_random_goals(goal: Tensor, share: float) -> Tensor:
    """Gives the first rows of a batch, `share` of it, the goals [B, .] of their neighbours; its order is random."""
    num_random = round(share * goal.shape[0])
    return torch.cat([goal.roll(1, dims=0)[:num_random], goal[num_random:]]) if num_random else goal


class Temperature:
    """The weight alpha of the entropy, moved so that the entropy approaches a target (Haarnoja et al. 2018b)."""

    def __init__(self, agent: TrainableAgent, *, lr: float, target_entropy: float) -> None:
        """Adds `log_alpha`, 0 at first, and its optimiser to the agent."""
        self._agent, self._target_entropy = agent, target_entropy
        self.log_alpha = agent.add_scalar("log_alpha", 0.0)
        agent.add_optimizer("temperature", [self.log_alpha], lr)

    @property
    def alpha(self) -> Tensor:
        """The scalar, a constant to autograd."""
        return self.log_alpha.detach().exp()

    def update(self, log_prob: Tensor) -> dict[str, Tensor]:
        """Takes a step for actions of log density [B]; returns the metric, alpha before the step.

        The loss alpha (-log_prob - target) is its own gradient in log alpha.
        """
        alpha = self.alpha
        self.log_alpha.grad = alpha * (-log_prob.detach() - self._target_entropy).mean()
        self._agent.step_optimizer("temperature")
        return {"actor/alpha": alpha}
