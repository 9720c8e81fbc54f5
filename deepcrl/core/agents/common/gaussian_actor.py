"""A squashed Gaussian as actor: how it acts, how it climbs a critic, how random it stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from deepcrl.core.agents.common.action_choice import action_choice
from deepcrl.core.agents.common.inputs import Parts
from deepcrl.core.agents.common.learner import Learner
from deepcrl.core.agents.common.tanh_gaussian import TanhGaussian
from deepcrl.core.checks import above
from deepcrl.core.types import Observation

Critic = Callable[[Observation, Tensor], Tensor]
"""(N observations, actions [K, N, A]) -> how good each action is [K, N]."""


def no_critic(observation: Observation, actions: Tensor) -> Tensor:
    raise AssertionError("an agent without a critic to ask knows only choices that ask none")


class GaussianActor:
    """The network `actor` of a learner, a policy tanh(N(mean, std)) of state and goal."""

    def __init__(
        self,
        learner: Learner,
        parts: Parts,
        *,
        lr: float,
        exploration: str,
        evaluation: str,
        num_candidates: int = 1,
        critic: Critic = no_critic,
    ) -> None:
        """Adds the network, its optimiser and its streams to the learner.

        `exploration` and `evaluation` name an action choice, of which `best_of` draws `num_candidates` and asks the
        critic. Raises ValueError for an unknown choice.
        """
        above("agent.num_candidates", num_candidates, 0)
        has_critic = critic is not no_critic
        self._explore = action_choice(exploration, has_critic=has_critic)
        self._exploit = action_choice(evaluation, has_critic=has_critic)
        self._learner, self._critic, self._num_candidates = learner, critic, num_candidates
        self._device = parts.device
        spec = parts.spec
        self.net = learner.add_network(
            "actor", parts.actor_encoder, spec.state_dim + spec.goal_dim, 2 * spec.action_dim
        )
        learner.add_optimizer("actor", list(self.net.parameters()), lr)
        for name in ("explore", "evaluate", "actor_noise"):
            learner.add_generator(name)

    @torch.no_grad()
    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        observation = Observation(observation.state.to(self._device), observation.goal.to(self._device))
        choose, noise = (self._explore, "explore") if explore else (self._exploit, "evaluate")
        policy, score = self.policy(observation.state, observation.goal), partial(self._critic, observation)
        return choose(policy, score, self._num_candidates, self._learner.generators[noise])

    def policy(self, state: Tensor, goal: Tensor) -> TanhGaussian:
        """Returns the policy at states [B, S] and goals [B, G]."""
        return TanhGaussian.from_features(self._learner.encode(self.net, state, goal))

    @torch.no_grad()
    def draw(self, state: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Draws actions [B, A] of the policy, with their log density [B], for a target."""
        return self.policy(state, goal).rsample_with_log_prob(self._learner.generators["actor_noise"])

    def climb(
        self,
        state: Tensor,
        goal: Tensor,
        value: Callable[[Tensor], Tensor],
        entropy_coef: Tensor | float,
        *,
        value_name: str,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Takes a step of the actor towards actions [B, A] of higher value [B], and of higher entropy.

        Returns metrics, that of the value under `value_name`, and the log density [B] of the actions, a constant.
        """
        policy = self.policy(state, goal)
        action, log_prob = policy.rsample_with_log_prob(self._learner.generators["actor_noise"])
        values = value(action)
        loss = entropy_coef * log_prob.mean() - values.mean()
        gradient_norm = self._learner.step("actor", loss)
        log_prob = log_prob.detach()
        return {
            "actor/loss": loss.detach(),
            f"actor/{value_name}": values.detach().mean(),
            "actor/entropy": -log_prob.mean(),
            "actor/log_std": policy.log_std.detach().mean(),
            "actor/gradient_norm": gradient_norm,
        }, log_prob


class Temperature:
    """The weight alpha of the entropy, moved so that the entropy approaches a target (Haarnoja et al. 2018b)."""

    def __init__(self, learner: Learner, *, lr: float, target_entropy: float) -> None:
        """Adds `log_alpha`, 0 at first, and its optimiser to the learner."""
        self._learner, self._target_entropy = learner, target_entropy
        self.log_alpha = learner.add_scalar("log_alpha", 0.0)
        learner.add_optimizer("temperature", [self.log_alpha], lr)

    @property
    def alpha(self) -> Tensor:
        """The scalar, a constant to autograd."""
        return self.log_alpha.detach().exp()

    def update(self, log_prob: Tensor) -> dict[str, Tensor]:
        """Takes a step for actions of log density [B]; returns the metric, alpha before the step.

        The loss alpha (-log_prob - target) is its own gradient in log alpha.
        """
        alpha = self.alpha
        self.log_alpha.grad = alpha * (-log_prob - self._target_entropy).mean()
        self._learner.apply("temperature")
        return {"actor/alpha": alpha}
