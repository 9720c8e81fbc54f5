"""Quasimetric RL (Wang et al. 2023, Optimal Goal-Reaching Reinforcement Learning via Quasimetric Learning)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from deepcrl.core.agents.common.acting.action_choice import as_rows
from deepcrl.core.agents.common.acting.gaussian_actor import GaussianActor, Temperature
from deepcrl.core.agents.common.acting.policy import PolicyHead
from deepcrl.core.agents.common.actor_losses import actor_loss_max_entropy
from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.checks import above, at_least
from deepcrl.core.components import AGENTS
from deepcrl.core.energies import check_dim
from deepcrl.core.modules import frozen
from deepcrl.core.types import Observation, TransitionBatch


@AGENTS.register("qrl", choices={"energy": "iqe"})
class QRL(TrainableAgent):
    """The distance d(f(s), h(g)) is how many steps an optimal policy takes from s to g, learned as a quasimetric.

    Distances between random pairs are pushed apart, while a step may cost no more than 1: by the triangle inequality
    the largest distance that keeps this bound is the optimal cost. The authors' goals are states; here they are what a
    state achieves, so a second bound joins the first: from where a step ends to the goal achieved there it costs 0. A
    step that terminated leads nowhere, but its goal costs 1 from where it began. The actor follows a latent model of
    the step, T(f(s), a), to where the distance is smallest. One update steps the critic, then the multiplier of the
    bound, then the actor with the new critic, then the temperature.
    """

    needs_transitions = True
    unused_groups = ("loss",)

    def __init__(
        self,
        inputs: AgentInputs,
        *,
        embedding_dim: int = 64,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        multiplier_lr: float = 1e-2,
        temperature_lr: float = 3e-4,
        target_entropy_per_action: float = -0.5,
        tolerance: float = 0.25,
        initial_multiplier: float = 0.01,
        push_offset: float = 500.0,
        push_beta: float = 0.01,
        dynamics_coef: float = 0.1,
        policy: str = "tanh_gaussian",
        policy_std: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
        num_candidates: int = 8,
    ) -> None:
        """Builds the actor, the encoders f and h, and T; f and T are of `critic_encoder` or `sa_encoder`.

        Pairs are pushed apart by softplus(push_offset - d) of sharpness `push_beta`: beyond `push_offset` steps, which
        should exceed most distances, the push fades (15 and 0.1 in the paper's short tasks). The squared excess of the
        bounds may average `tolerance` squared. The rest is as in `crl`. Raises ValueError for a value out of range, or
        an energy that is not minus a quasimetric.
        """
        super().__init__(inputs)
        above("agent.embedding_dim", embedding_dim, 0)
        above("agent.initial_multiplier", initial_multiplier, 0)
        above("agent.push_beta", push_beta, 0)
        at_least("agent.tolerance", tolerance, 0)
        at_least("agent.push_offset", push_offset, 0)
        at_least("agent.dynamics_coef", dynamics_coef, 0)
        if not getattr(inputs.energy, "quasimetric", False):
            raise ValueError("agent=qrl needs an energy that is minus a quasimetric, such as energy=iqe")
        check_dim(inputs.energy, embedding_dim)
        self._energy, self._tolerance, self._dynamics_coef = inputs.energy, tolerance, dynamics_coef
        self._push_offset, self._push_beta = push_offset, push_beta
        spec = inputs.spec
        self.state_encoder = self.add_network("state_encoder", inputs.sa_encoder, spec.state_dim, embedding_dim)
        self.goal_encoder = self.add_network("goal_encoder", inputs.goal_encoder, spec.goal_dim, embedding_dim)
        in_dim = embedding_dim + spec.action_dim
        self.dynamics = self.add_network("dynamics", inputs.sa_encoder, in_dim, embedding_dim)
        self._critic = [self.state_encoder, self.goal_encoder, self.dynamics, *self.add_modules(energy=inputs.energy)]
        self.add_optimizer("critic", [p for net in self._critic for p in net.parameters()], critic_lr)
        self.raw_multiplier = self.add_scalar("raw_multiplier", math.log(math.expm1(initial_multiplier)))
        self.add_optimizer("multiplier", [self.raw_multiplier], multiplier_lr)
        self._actor = GaussianActor(
            self,
            inputs,
            lr=actor_lr,
            head=PolicyHead(policy, policy_std),
            exploration=exploration,
            evaluation=evaluation,
            value=self.value,
            num_candidates=num_candidates,
        )
        target_entropy = target_entropy_per_action * spec.action_dim
        self._temperature = Temperature(self, lr=temperature_lr, target_entropy=target_entropy)

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        return self._actor.act(observation, explore=explore)

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns minus the distances [..., N] after actions [..., N, A]; gradients reach the inputs only."""
        return -self._distance_after(*as_rows(observation, action)).view(action.shape[:-1])

    def update(self, batch: TransitionBatch) -> dict[str, Tensor]:
        """Takes one gradient step of the critic, its multiplier, the actor and the temperature; returns metrics."""
        critic_loss, info = self._critic_loss(batch)
        gradient_norm = self.step("critic", critic_loss)
        metrics = {"critic/loss": critic_loss.detach(), "critic/gradient_norm": gradient_norm, **info}
        self._update_multiplier(info["critic/violation"])

        policy = self._actor.policy(batch.state, batch.goal)
        action, log_prob = self._actor.rsample(policy)
        value = -self._distance_after(batch.state, action, batch.goal)
        actor_loss, info = actor_loss_max_entropy(policy, value, log_prob, entropy_coef=self._temperature.alpha)
        return metrics | self._actor.step(actor_loss, info) | self._temperature.update(log_prob)

    def _critic_loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's equation 12 with a latent model (section 3.4): minimised here, maximised by the multiplier."""
        z, next_z = self.encode(self.state_encoder, batch.state), self.encode(self.state_encoder, batch.next_state)
        achieved = self.encode(self.goal_encoder, batch.next_achieved)
        random_distance = self._distance(z, achieved.roll(1, dims=0))
        push = F.softplus(self._push_offset - random_distance, beta=self._push_beta).mean()
        step, arrival = self._distance(z, next_z), self._distance(next_z, achieved)
        excess = (step - 1).relu().square() + (arrival - batch.terminated.float()).relu().square()
        violation = excess.mean() - self._tolerance**2
        predicted = self._predict(z, batch.action)
        both_ways = self._distance(predicted, next_z).square() + self._distance(next_z, predicted).square()
        dynamics = (both_ways / 2 * ~batch.terminated).mean()
        multiplier = F.softplus(self.raw_multiplier.detach())
        return push + multiplier * violation + self._dynamics_coef * dynamics, {
            "critic/distance": random_distance.detach().mean(),
            "critic/step_distance": step.detach().mean(),
            "critic/violation": violation.detach(),
            "critic/multiplier": multiplier,
            "critic/dynamics_loss": dynamics.detach(),
        }

    def _update_multiplier(self, violation: Tensor) -> None:
        """Takes a step up softplus(raw) x violation: the multiplier grows where the bound is broken."""
        self.raw_multiplier.grad = -violation * self.raw_multiplier.detach().sigmoid()
        self.step_optimizer("multiplier")

    def _distance(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._energy.paired(x, y)

    def _predict(self, z: Tensor, action: Tensor) -> Tensor:
        """Returns T(z, a) [B, D]: the network learns the change."""
        return z + self.encode(self.dynamics, z, action)

    def _distance_after(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Returns the distances [B] to goals [B, G] after actions [B, A]; gradients reach the inputs only."""
        with frozen(*self._critic):
            z = self.encode(self.state_encoder, state)
            return self._distance(self._predict(z, action), self.encode(self.goal_encoder, goal))
