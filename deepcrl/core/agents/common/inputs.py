"""What an agent is composed of: the pieces that a run chooses by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepcrl.core.energies import Energy
from deepcrl.core.types import EnvSpec

MakeEncoder = Callable[[int, int, torch.Generator], nn.Module]
"""(in_dim, out_dim, generator) -> module, [B, in_dim] -> [B, out_dim]."""


@dataclass(frozen=True, slots=True)
class Parts:
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
