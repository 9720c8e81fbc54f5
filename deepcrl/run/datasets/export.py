"""What a run has collected, as a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepcrl.core.buffers.ring import Ring
from deepcrl.core.files import atomic_file
from deepcrl.run.checkpoint import Checkpoint, fitting
from deepcrl.training.build import build_buffer, env_spec
from deepcrl.training.validate import validated


def export(checkpoint: Checkpoint, path: Path) -> dict[str, np.ndarray]:
    """Writes the steps in the checkpoint's ring to `path`, in OGBench's layout (`buffers/sources/ogbench.py`).

    Trajectories come one after the other, environment by environment, each from its oldest step in the ring to its
    newest. Returns the arrays that were written. Raises ValueError, in one line, for a path that does not end in .npz
    or exists, for a run whose buffer is no ring or is empty, and OSError if the disk refuses.
    """
    check_new(path)
    ring = _ring(checkpoint)
    if not ring.num_steps:
        raise ValueError(f"{checkpoint.run_dir} has collected nothing yet")
    # From columns [L, N, .], oldest step first, to [N, L, .]
    state, action, traj_id = (ring.history()[name].transpose(0, 1) for name in ("state", "action", "traj_id"))
    last = torch.ones_like(traj_id, dtype=torch.bool)
    last[:, :-1] = traj_id[:, 1:] != traj_id[:, :-1]
    return write(path, state, action, last)


def check_new(path: Path) -> None:
    """Raises ValueError unless `path` is a name for a new dataset."""
    if path.suffix != ".npz":
        raise ValueError(f"A dataset in OGBench's layout is an .npz file, got {path}")
    if path.exists():
        raise ValueError(f"{path} exists; name another file, or remove it first")


def write(path: Path, state: Tensor, action: Tensor, last: Tensor) -> dict[str, np.ndarray]:
    """Writes L steps of N environments, `state` [N, L, S], `action` [N, L, A], in OGBench's layout; returns the arrays.

    `last` [N, L] says which steps are the last of their trajectory.
    """
    arrays = {
        "observations": state.flatten(0, 1).numpy(),
        "actions": action.flatten(0, 1).numpy(),
        "terminals": last.flatten().float().numpy(),
    }
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
    return arrays


def _ring(checkpoint: Checkpoint) -> Ring:
    config = validated(checkpoint.config | {"run_dir": str(checkpoint.run_dir), "device": "cpu"})
    ring = build_buffer(config, env_spec(config), torch.device("cpu"))
    if not isinstance(ring, Ring):
        raise ValueError(f"{checkpoint.run_dir} has collected nothing: it learned from buffer={config.buffer['name']}")
    # A generator's state is of its device, and nothing is drawn here
    state = checkpoint.state["buffer"] | {"generator": torch.Generator().get_state()}
    with fitting(checkpoint.path):
        ring.load_state_dict(state)
    return ring
