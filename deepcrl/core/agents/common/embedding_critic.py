"""Critics of the form energy(phi(state, action), psi(goal)): one, or several of them, with or without targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.checks import above, at_most
from deepcrl.core.energies import Energy, check_dim
from deepcrl.core.modules import copied, detached

MAX_CRITICS = 1000
"""Each is built, if without data, to be counted; far more than anybody needs would take forever."""


@dataclass(frozen=True, slots=True)
class EmbeddingCritic:
    """f(s, a, g) = energy(phi(s, a), psi(g)). `phi` may read more than state and action."""

    agent: TrainableAgent
    phi: nn.Module
    psi: nn.Module
    energy: Energy
    suffix: str
    """Of the names of its networks: empty for an agent's first critic, `_2` for its second."""

    def embed(self, *inputs: Tensor) -> Tensor:
        """Returns phi [B, D] of the concatenated inputs [B, .]."""
        return self.agent.encode(self.phi, *inputs)

    def embed_goal(self, goal: Tensor) -> Tensor:
        """Returns psi [B, D] of goals [B, G]."""
        return self.agent.encode(self.psi, goal)

    def modules(self) -> list[nn.Module]:
        """Returns both networks, and the energy if it has parameters."""
        return [item for item in (self.phi, self.psi, self.energy) if isinstance(item, nn.Module)]

    def parameters(self) -> list[nn.Parameter]:
        return [p for module in self.modules() for p in module.parameters()]

    def detached(self) -> EmbeddingCritic:
        """Returns this critic with the same parameters, always up to date, but gradients for its inputs only."""
        return EmbeddingCritic(
            self.agent, detached(self.phi), detached(self.psi), detached(self.energy), suffix=self.suffix
        )

    def add_target(self) -> EmbeddingCritic:
        """Adds targets of all its networks to the agent; returns the critic made of them."""
        phi, psi = (self.agent.add_target(f"{net}_encoder{self.suffix}") for net in ("sa", "goal"))
        energy = self.energy
        if isinstance(energy, nn.Module):
            energy = cast(Energy, self.agent.add_target(f"energy{self.suffix}"))
        return EmbeddingCritic(self.agent, phi, psi, energy, self.suffix)


def add_critics(
    agent: TrainableAgent, inputs: AgentInputs, *, num: int, sa_dim: int, embedding_dim: int
) -> list[EmbeddingCritic]:
    """Adds `num` critics, whose phi reads `sa_dim` numbers, to the agent.

    Networks are called `sa_encoder` and `goal_encoder`, then `sa_encoder_2` and so on. An energy with parameters is
    each critic's own.
    """
    above("agent.num_critics", num, 0)
    at_most("agent.num_critics", num, MAX_CRITICS)
    above("agent.embedding_dim", embedding_dim, 0)
    check_dim(inputs.energy, embedding_dim)
    critics = []
    for suffix in ["", *(f"_{number}" for number in range(2, num + 1))]:
        phi = agent.add_network(f"sa_encoder{suffix}", inputs.sa_encoder, sa_dim, embedding_dim)
        psi = agent.add_network(f"goal_encoder{suffix}", inputs.goal_encoder, inputs.spec.goal_dim, embedding_dim)
        energy = copied(inputs.energy) if suffix else inputs.energy
        agent.add_modules(**{f"energy{suffix}": energy})
        critics.append(EmbeddingCritic(agent, phi, psi, energy, suffix))
    return critics


def smallest(values: list[Tensor]) -> Tensor:
    """Returns the elementwise minimum over critics: no action is worth more than the most doubtful one says."""
    return values[0] if len(values) == 1 else torch.stack(values).amin(dim=0)


def mean(values: list[Tensor]) -> Tensor:
    """Returns the mean of scalars; of one, itself, without a launch."""
    return values[0] if len(values) == 1 else torch.stack(values).mean()
