"""Goal-conditioned behaviour cloning (Ding et al. 2019) and, with another relabelling, GCSL (Ghosh et al. 2021)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepcrl.core.agents.action_choice import action_choice
from deepcrl.core.agents.parts import Parts
from deepcrl.core.agents.projection import project_after_steps
from deepcrl.core.components import AGENTS
from deepcrl.core.registry import suggest
from deepcrl.core.seeding import generator
from deepcrl.core.types import Batch, Observation
from deepcrl.nets.policy import TanhGaussian

CHOICES = ("deterministic", "sample")
"""The action choices that need no critic."""


@AGENTS.register("gcbc")
class GCBC:
    """Behaviour cloning: what was done on the way to a goal is what to do to reach it. GCSL with uniform future goals.

    The loss is minus the mean log likelihood of the actions under the squashed Gaussian. The goals are those of the
    buffer: `relabel=uniform_future` makes it GCSL. There is no critic, so `energy` and `loss` have no effect.
    """

    needs_transitions = False

    def __init__(
        self, parts: Parts, *, actor_lr: float = 3e-4, exploration: str = "sample", evaluation: str = "deterministic"
    ) -> None:
        """Builds the actor and its optimiser; ValueError for a learning rate or an action choice out of range."""
        if not actor_lr > 0:
            raise ValueError(f"agent.actor_lr must be positive, got {actor_lr}")
        for name in (exploration, evaluation):
            if name not in CHOICES:
                raise ValueError(suggest("action choice without a critic", name, CHOICES))
        self._explore, self._exploit = action_choice(exploration), action_choice(evaluation)
        self._device, self._bf16 = parts.device, parts.precision == "bf16"
        spec, seed = parts.spec, parts.seed
        self.actor = parts.actor_encoder(
            spec.state_dim + spec.goal_dim, 2 * spec.action_dim, generator(seed, "init/actor")
        ).to(self._device)
        self._parameters = list(self.actor.parameters())
        self.optimizers = {"actor": torch.optim.Adam(self._parameters, lr=actor_lr, fused=True)}
        project_after_steps(self.optimizers["actor"], [self.actor])
        draws = "cpu" if self._device.type == "meta" else self._device
        self._generators = {name: generator(seed, name, draws) for name in ("explore", "evaluate")}

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"actor": self.actor}

    @property
    def generators(self) -> dict[str, torch.Generator]:
        """Everything that `act` draws from; `update` draws nothing."""
        return self._generators

    @torch.no_grad()
    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in [-1, 1] for N observations."""
        choose, noise = (self._explore, "explore") if explore else (self._exploit, "evaluate")
        policy = self._policy(observation.state.to(self._device), observation.goal.to(self._device))
        return choose(policy, _no_critic, 1, self._generators[noise])

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step of the actor; returns 0-dim metrics."""
        policy = self._policy(batch.state, batch.goal)
        loss = -policy.log_prob(batch.action).mean()
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        self.optimizers["actor"].step()
        return {
            "actor/loss": loss.detach(),
            "actor/mse": (policy.mode().detach() - batch.action).square().mean(),
            "actor/log_std": policy.log_std.detach().mean(),
            "actor/gradient_norm": torch.nn.utils.get_total_norm(
                [p.grad for p in self._parameters if p.grad is not None]
            ),
        }

    def _policy(self, state: Tensor, goal: Tensor) -> TanhGaussian:
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16):
            features = self.actor(torch.cat([state, goal], dim=-1))
        return TanhGaussian.from_features(features.float())

    def state_dict(self) -> dict[str, Any]:
        return {
            "networks": {"actor": self.actor.state_dict()},
            "optimizers": {"actor": self.optimizers["actor"].state_dict()},
            "generators": {name: g.get_state() for name, g in self._generators.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.actor.load_state_dict(state["networks"]["actor"])
        self.optimizers["actor"].load_state_dict(state["optimizers"]["actor"])
        for name, g in self._generators.items():
            g.set_state(state["generators"][name])


def _no_critic(actions: Tensor) -> Tensor:
    raise AssertionError("no choice of CHOICES asks a critic")
