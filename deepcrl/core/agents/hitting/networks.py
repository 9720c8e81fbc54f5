"""Networks that turn the embeddings of a state-action and of a goal into hazards."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.checks import above

FILM_SCALE = 0.1


class FilmFusion(nn.Module):
    """Fuses embeddings sa, g [B, D] to [z, g, z - g, z g] [B, 4 D], z = (1 + 0.1 a) sa + 0.1 b, (a, b) linear in g."""

    def __init__(self, in_dim: int, out_dim: int, generator: torch.Generator) -> None:
        """`in_dim` is D and `out_dim` 4 D."""
        super().__init__()
        assert out_dim == 4 * in_dim
        bound = 1 / math.sqrt(in_dim)
        self.weight = nn.Parameter(torch.empty(2 * in_dim, in_dim).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.zeros(2 * in_dim))

    def forward(self, sa: Tensor, g: Tensor) -> Tensor:
        scale, shift = linear(g, self.weight, self.bias).chunk(2, dim=-1)
        z = sa + FILM_SCALE * (scale * sa + shift)
        return torch.cat([z, g, z - g, z * g], dim=-1)


class HazardBasis(nn.Module):
    """The logits [B, K] of the bins of a few numbers u [B, R], u W^T + b: bins learn from their neighbours."""

    def __init__(self, in_dim: int, out_dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_dim, in_dim).normal_(0, 0.02, generator=generator))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, u: Tensor) -> Tensor:
        return linear(u, self.weight, self.bias)


class HazardHead:
    """From embeddings [B, D] to the hazards' logits: the networks `fusion`, `head`, of `sa_encoder`, and `basis`.

    `head` may give `num_extra` further outputs. Everything but the inside of `head` is in float32 at any precision.
    """

    def __init__(
        self,
        agent: TrainableAgent,
        inputs: AgentInputs,
        *,
        embedding_dim: int,
        basis_rank: int,
        num_bins: int,
        num_extra: int = 0,
    ) -> None:
        above("agent.embedding_dim", embedding_dim, 0)
        above("agent.basis_rank", basis_rank, 0)
        self._agent, self._basis_rank = agent, basis_rank
        fused_dim = 4 * embedding_dim
        self.fusion = agent.add_network("fusion", FilmFusion, embedding_dim, fused_dim)
        self.head = agent.add_network("head", inputs.sa_encoder, fused_dim, 1 + basis_rank + num_extra)
        self.basis = agent.add_network("basis", HazardBasis, basis_rank, num_bins)

    def __call__(self, sa: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns logit0 [B], the bins' logits [B, K] and the further outputs [B, num_extra]."""
        features = self._agent.encode(self.head, self.fusion(sa, g))
        logit0, u, extra = features.split([1, self._basis_rank, features.shape[1] - 1 - self._basis_rank], dim=1)
        return logit0[:, 0], self.basis(u), extra

    def modules(self) -> list[nn.Module]:
        return [self.fusion, self.head, self.basis]
