"""Goal-conditioned behaviour cloning (Ding et al. 2019), and GCSL (Ghosh et al. 2021) by another relabelling."""

from __future__ import annotations

from torch import Tensor

from deepcrl.core.agents.common.acting.gaussian_actor import GaussianActor
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.components import AGENTS
from deepcrl.core.types import Batch, Observation


@AGENTS.register("gcbc")
@AGENTS.register("gcsl", choices={"relabel": "uniform_future"})
class GCBC(TrainableAgent):
    """Behaviour cloning: what was done on the way to a goal is what to do to reach it.

    The loss is minus the mean log likelihood of the actions under the policy. The goals are those of the
    buffer; `gcsl` comes with `relabel=uniform_future`, every later step alike, and without the remaining horizon that
    its authors offer as a further input. There is no critic.
    """

    unused_groups = ("energy", "loss", "critic_encoder", "sa_encoder", "goal_encoder")

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        actor_lr: float = 3e-4,
        policy: str = "tanh_gaussian",
        policy_std: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
    ) -> None:
        """Builds the actor and its optimiser; its policy is as in `crl`. Raises ValueError for a value out of range."""
        super().__init__(inputs)
        self._actor = GaussianActor(
            self,
            inputs,
            lr=actor_lr,
            head=PolicyHead(policy, policy_std),
            exploration=exploration,
            evaluation=evaluation,
        )

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        return self._actor.act(observation, explore=explore)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step of the actor; returns 0-dim metrics."""
        policy = self._actor.policy(batch.state, batch.goal)
        loss = -policy.log_prob(batch.action).mean()
        info = {
            "actor/mse": (policy.mode().detach() - batch.action).square().mean(),
            "actor/log_std": policy.log_std.detach().mean(),
        }
        return self._actor.step(loss, info)
