"""The weight of the entropy in an actor's loss, learned (Haarnoja et al. 2018b)."""

from __future__ import annotations

from torch import Tensor

from deepcrl.core.agents.common.base import TrainableAgent


class Temperature:
    """The weight alpha of the entropy, moved so that the entropy approaches a target."""

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
