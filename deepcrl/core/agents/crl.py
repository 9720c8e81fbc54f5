"""Contrastive RL (paper section 3; released code train.py:733-841)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from deepcrl.core.agents.action_choice import action_choice
from deepcrl.core.agents.parts import Parts
from deepcrl.core.agents.projection import project_after_steps
from deepcrl.core.components import AGENTS
from deepcrl.core.seeding import generator
from deepcrl.core.types import Batch, Observation
from deepcrl.nets.policy import TanhGaussian


@AGENTS.register("crl")
class CRL:
    """Contrastive RL: the critic tells which goal a state-action leads to, the actor maximises its energy.

    One update takes the actor's step first, with the critic as it was, then the temperature's, then the critic's, all
    on one batch. The goal embedding is computed once and shared. Nothing in `act` or `update` waits for the device.
    """

    needs_transitions = False

    def __init__(
        self,
        parts: Parts,
        *,
        embedding_dim: int = 64,
        actor_lr: float = 3e-4,
        critic_lr: float = 3e-4,
        temperature_lr: float = 3e-4,
        target_entropy_per_action: float = -0.5,
        entropy_bonus: bool = True,
        random_goals: float = 0.0,
        embedding_l2_coef: float = 0.0,
        exploration: str = "sample",
        evaluation: str = "deterministic",
        num_candidates: int = 8,
    ) -> None:
        """Builds the three networks and their optimisers.

        The temperature aims at an entropy of `target_entropy_per_action` x A; without `entropy_bonus` the entropy
        term leaves the actor's loss. `random_goals` is the share of the actor's batch whose goals come from other
        trajectories instead of the own future (0.5 in Eysenbach et al. 2022, 0 in the paper). `embedding_l2_coef`
        weighs the mean squares of both embeddings' components in the critic's loss (JaxGCRL, 2024). `exploration` and
        `evaluation` name an action choice, of which `best_of` draws `num_candidates`. Raises ValueError for a value
        out of range.
        """
        positive = {"embedding_dim": embedding_dim, "num_candidates": num_candidates}
        positive |= {"actor_lr": actor_lr, "critic_lr": critic_lr, "temperature_lr": temperature_lr}
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"agent.{name} must be positive, got {value}")
        if not 0 <= random_goals <= 1:
            raise ValueError(f"agent.random_goals is a share between 0 and 1, got {random_goals}")
        if not embedding_l2_coef >= 0:
            raise ValueError(f"agent.embedding_l2_coef must not be negative, got {embedding_l2_coef}")
        self._random_goals, self._embedding_l2_coef = random_goals, embedding_l2_coef
        self._explore, self._exploit = action_choice(exploration), action_choice(evaluation)
        self._num_candidates, self._entropy_bonus = num_candidates, entropy_bonus
        self._energy, self._loss = parts.energy, parts.loss
        self._device, self._bf16 = parts.device, parts.precision == "bf16"
        self._target_entropy = target_entropy_per_action * parts.spec.action_dim

        spec, seed = parts.spec, parts.seed
        self.actor = parts.actor_encoder(
            spec.state_dim + spec.goal_dim, 2 * spec.action_dim, generator(seed, "init/actor")
        )
        self.sa_encoder = parts.sa_encoder(
            spec.state_dim + spec.action_dim, embedding_dim, generator(seed, "init/sa_encoder")
        )
        self.goal_encoder = parts.goal_encoder(spec.goal_dim, embedding_dim, generator(seed, "init/goal_encoder"))
        parts_of_the_critic = {"energy": parts.energy, "loss": parts.loss}
        self._learned_parts = {name: part for name, part in parts_of_the_critic.items() if isinstance(part, nn.Module)}
        for net in self.networks.values():
            net.to(self._device)  # drawn on the CPU: the same weights on every device
        self.log_alpha = nn.Parameter(torch.zeros((), device=self._device))
        self._actor_parameters = list(self.actor.parameters())
        critic = [self.sa_encoder, self.goal_encoder, *self._learned_parts.values()]
        self._critic_parameters = [parameter for net in critic for parameter in net.parameters()]
        self.optimizers = {
            "actor": torch.optim.Adam(self._actor_parameters, lr=actor_lr, fused=True),
            "critic": torch.optim.Adam(self._critic_parameters, lr=critic_lr, fused=True),
            "temperature": torch.optim.Adam([self.log_alpha], lr=temperature_lr, fused=True),
        }
        for optimizer in self.optimizers.values():
            project_after_steps(optimizer, self.networks.values())
        names = ("explore", "evaluate", "actor_noise")
        draws = "cpu" if self._device.type == "meta" else self._device
        self._generators = {name: generator(seed, name, draws) for name in names}

    @property
    def networks(self) -> dict[str, nn.Module]:
        nets = {"actor": self.actor, "sa_encoder": self.sa_encoder, "goal_encoder": self.goal_encoder}
        return nets | self._learned_parts

    @property
    def generators(self) -> dict[str, torch.Generator]:
        """Everything that `act` and `update` draw from."""
        return self._generators

    @torch.no_grad()
    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Chooses actions [N, A] in (-1, 1) for N observations."""
        observation = Observation(observation.state.to(self._device), observation.goal.to(self._device))
        choose, noise = (self._explore, "explore") if explore else (self._exploit, "evaluate")

        def score(actions: Tensor) -> Tensor:
            state = observation.state.expand(*actions.shape[:-1], -1)
            sa = self._encode(self.sa_encoder, state.flatten(0, 1), actions.flatten(0, 1))
            return self._energy.paired(
                sa.unflatten(0, actions.shape[:2]), self._encode(self.goal_encoder, observation.goal)
            )

        return choose(self._policy(observation), score, self._num_candidates, self._generators[noise])

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step of the actor, the temperature and the critic; returns 0-dim metrics."""
        g = self._encode(self.goal_encoder, batch.goal)
        metrics, log_prob = self._update_actor(batch, g.detach())
        metrics |= self._update_temperature(log_prob)
        metrics |= self._update_critic(batch, g)
        return metrics

    def _update_actor(self, batch: Batch, g: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        goal, g = self._actor_goals(batch.goal), self._actor_goals(g)
        policy = self._policy(Observation(batch.state, goal))
        action, log_prob = policy.rsample_with_log_prob(self._generators["actor_noise"])
        with _frozen(self.sa_encoder):
            sa = self._encode(self.sa_encoder, batch.state, action)
        energy = self._energy.paired(sa, g)
        loss = -energy.mean()
        if self._entropy_bonus:
            loss = loss + self.log_alpha.detach().exp() * log_prob.mean()
        gradient_norm = self._step("actor", self._actor_parameters, loss)
        log_prob = log_prob.detach()
        return {
            "actor/loss": loss.detach(),
            "actor/energy": energy.detach().mean(),
            "actor/entropy": -log_prob.mean(),
            "actor/log_std": policy.log_std.detach().mean(),
            "actor/gradient_norm": gradient_norm,
        }, log_prob

    def _actor_goals(self, goal: Tensor) -> Tensor:
        """Gives the first rows of the batch, whose order is random, the goals [B, .] of their neighbours."""
        num_random = round(self._random_goals * goal.shape[0])
        return torch.cat([goal.roll(1, dims=0)[:num_random], goal[num_random:]]) if num_random else goal

    def _update_temperature(self, log_prob: Tensor) -> dict[str, Tensor]:
        """Moves alpha so that the entropy approaches its target; log_prob [B] is a constant here.

        The loss alpha (-log_prob - target) is its own gradient in log alpha.
        """
        alpha = self.log_alpha.detach().exp()
        self.log_alpha.grad = alpha * (-log_prob - self._target_entropy).mean()
        self.optimizers["temperature"].step()
        return {"actor/alpha": alpha}

    def _update_critic(self, batch: Batch, g: Tensor) -> dict[str, Tensor]:
        sa = self._encode(self.sa_encoder, batch.state, batch.action)
        logits = self._energy.pairwise(sa, g)
        loss = self._loss(logits)
        if self._embedding_l2_coef:
            loss = loss + self._embedding_l2_coef * (sa.square().mean() + g.square().mean())
        gradient_norm = self._step("critic", self._critic_parameters, loss)
        return {"critic/loss": loss.detach(), "critic/gradient_norm": gradient_norm, **_logit_metrics(logits.detach())}

    def _step(self, name: str, parameters: list[nn.Parameter], loss: Tensor) -> Tensor:
        """Takes one step of optimiser `name` down the loss; returns the gradient's norm."""
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        self.optimizers[name].step()
        return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])

    def _policy(self, observation: Observation) -> TanhGaussian:
        return TanhGaussian.from_features(self._encode(self.actor, observation.state, observation.goal))

    def _encode(self, net: nn.Module, *inputs: Tensor) -> Tensor:
        """Runs `net` on the concatenated inputs [B, .] at the run's precision; the result is fp32."""
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16):
            return net(torch.cat(inputs, dim=-1)).float()

    def state_dict(self) -> dict[str, Any]:
        return {
            "networks": {name: net.state_dict() for name, net in self.networks.items()},
            "log_alpha": self.log_alpha.detach(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "generators": {name: g.get_state() for name, g in self._generators.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, net in self.networks.items():
            net.load_state_dict(state["networks"][name])
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, g in self._generators.items():
            g.set_state(state["generators"][name])


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Spares autograd the gradients of the module's parameters; those of its inputs are still computed."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _logit_metrics(logits: Tensor) -> dict[str, Tensor]:
    """How well logits [B, B] tell the positive pairs, on the diagonal, from the negative ones."""
    size = logits.shape[0]
    positive = logits.diagonal()
    correct = logits.argmax(dim=1) == torch.arange(size, device=logits.device)
    return {
        "critic/categorical_accuracy": correct.float().mean(),
        "critic/logits_pos": positive.mean(),
        "critic/logits_neg": (logits.sum() - positive.sum()) / max(size * (size - 1), 1),
        "critic/logsumexp": logits.logsumexp(dim=1).mean(),
    }
