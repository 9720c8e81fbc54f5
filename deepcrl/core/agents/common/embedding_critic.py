"""Critics of the form energy(phi(state, action), psi(goal)): one, or several of them, with or without targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.inputs import Parts
from deepcrl.core.agents.common.learner import Learner, constant, copied
from deepcrl.core.checks import above
from deepcrl.core.energies import Energy, check_dim


@dataclass(frozen=True, slots=True)
class EmbeddingCritic:
    """f(s, a, g) = energy(phi(s, a), psi(g)). `phi` may read more than state and action."""

    learner: Learner
    phi: nn.Module
    psi: nn.Module
    energy: Energy
    ending: str
    """Of the names of its networks: empty for an agent's first critic, `_2` for its second."""

    def embed(self, *inputs: Tensor) -> Tensor:
        """Returns phi [B, D] of the concatenated inputs [B, .]."""
        return self.learner.encode(self.phi, *inputs)

    def embed_goal(self, goal: Tensor) -> Tensor:
        """Returns psi [B, D] of goals [B, G]."""
        return self.learner.encode(self.psi, goal)

    def modules(self) -> list[nn.Module]:
        """Returns both networks, and the energy if it has parameters."""
        return [part for part in (self.phi, self.psi, self.energy) if isinstance(part, nn.Module)]

    def parameters(self) -> list[nn.Parameter]:
        return [p for module in self.modules() for p in module.parameters()]

    def constant(self) -> EmbeddingCritic:
        """Returns this critic as one that gives gradients to its inputs only, for who learns from it beside it."""
        parts = constant(self.phi), constant(self.psi), constant(self.energy)
        return EmbeddingCritic(self.learner, *parts, self.ending)

    def add_target(self) -> EmbeddingCritic:
        """Adds targets of all that it learns to the learner; returns the critic made of them."""
        phi, psi = (self.learner.add_target(f"{net}_encoder{self.ending}") for net in ("sa", "goal"))
        energy = self.energy
        if isinstance(energy, nn.Module):
            energy = cast(Energy, self.learner.add_target(f"energy{self.ending}"))
        return EmbeddingCritic(self.learner, phi, psi, energy, self.ending)


def add_critics(learner: Learner, parts: Parts, *, num: int, sa_dim: int, embedding_dim: int) -> list[EmbeddingCritic]:
    """Adds `num` critics, whose phi reads `sa_dim` numbers, to the learner.

    Networks are called `sa_encoder` and `goal_encoder`, then `sa_encoder_2` and so on. An energy with parameters is
    each critic's own.
    """
    above("agent.num_critics", num, 0)
    above("agent.embedding_dim", embedding_dim, 0)
    check_dim(parts.energy, embedding_dim)
    critics = []
    for ending in ["", *(f"_{number}" for number in range(2, num + 1))]:
        phi = learner.add_network(f"sa_encoder{ending}", parts.sa_encoder, sa_dim, embedding_dim)
        psi = learner.add_network(f"goal_encoder{ending}", parts.goal_encoder, parts.spec.goal_dim, embedding_dim)
        energy = copied(parts.energy) if ending else parts.energy
        learner.add_parts(**{f"energy{ending}": energy})
        critics.append(EmbeddingCritic(learner, phi, psi, energy, ending))
    return critics


def least(values: list[Tensor]) -> Tensor:
    """Returns the elementwise minimum: no action is worth more than the most doubtful critic says."""
    return values[0] if len(values) == 1 else torch.stack(values).amin(dim=0)


def mean(values: list[Tensor]) -> Tensor:
    """Returns the mean of scalars; of one, itself, without a launch."""
    return values[0] if len(values) == 1 else torch.stack(values).mean()
