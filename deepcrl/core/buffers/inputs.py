"""What a buffer is given: everything but its hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from deepcrl.core.buffers.relabel import Relabel
from deepcrl.core.types import EnvSpec, Futures


@dataclass(frozen=True, slots=True)
class BufferInputs:
    """Run-time inputs of a buffer's constructor."""

    spec: EnvSpec
    num_envs: int
    device: torch.device
    """Where batches are wanted. On `meta` a buffer takes no memory, but knows its size."""
    generator: torch.Generator
    """Everything that `sample` draws comes from it. Just seeded."""
    relabel: Relabel
    transitions: bool
    """Whether batches must be TransitionBatches."""
    run_dir: Path
    """Where a buffer may keep files: in a folder of its own, which it makes when the first step comes in."""
    max_unsaved_steps: int
    """Steps per environment that may come in after a `state_dict` which can still be asked for."""
    futures: Futures | None = None
    """What the FutureBatches hold, which are TransitionBatches too; None: batches need not be such."""
    episode_length: int = 1000
    """Control steps of the longest episode."""
