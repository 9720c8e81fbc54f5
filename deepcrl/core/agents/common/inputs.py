"""What an agent is given by the run: its networks, energy and loss, and where and how precisely they compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepcrl.core.energies import Energy
from deepcrl.core.types import EnvSpec

MakeEncoder = Callable[[int, int, torch.Generator], nn.Module]
"""(in_dim, out_dim, generator) -> module, [B, in_dim] -> [B, out_dim]."""
FusedInfoNCE = Callable[..., tuple[Tensor, dict[str, Tensor]]]
"""(sa [B, D], g [B, D], *, energy, and the hyperparameters of energy and loss) -> InfoNCE and its metrics, 0-dim."""


def no_fused_infonce(embedding_dim: int) -> FusedInfoNCE | None:
    """There is none, for embeddings of any dimension."""
    del embedding_dim
    return None


@dataclass(frozen=True, slots=True)
class AgentInputs:
    """Run-time inputs of an agent's constructor."""

    spec: EnvSpec
    sa_encoder: MakeEncoder
    goal_encoder: MakeEncoder
    actor_encoder: MakeEncoder
    energy: Energy
    loss: Callable[[Tensor], Tensor]
    """logits [B, B] -> scalar. If loss or energy is an `nn.Module`, the critic's optimiser trains its parameters."""
    device: torch.device
    precision: str
    """`bf16`: the encoders run under autocast, everything else in fp32. `fp32` and `tf32` differ in `build_agent`."""
    seed: int
    gradient_clip: float = 0.0
    """The largest norm of an optimiser's gradient, which is shortened to it; 0 leaves gradients as they are."""
    lr_warmup_steps: int = 0
    """Gradient steps over which every learning rate grows linearly to its value."""
    fused_infonce: Callable[[int], FusedInfoNCE | None] = no_fused_infonce
    """Embedding dimension -> the kernel that computes InfoNCE without writing the logits [B, B], or None."""
    shallow_encoder: MakeEncoder | None = None
    """Of the kind of `sa_encoder`, for a small network beside the critic; None: there is only `sa_encoder`."""
    half_sa_encoder: MakeEncoder | None = None
    """As `sa_encoder` at half its depth, for a critic with a network behind it; None: there is only `sa_encoder`."""
    half_goal_encoder: MakeEncoder | None = None
    """The same of `goal_encoder`."""
    relabel_discount: float | None = None
    """With which the run relabels; None if its relabelling has no discount."""
