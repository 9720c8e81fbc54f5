"""Dumps of simulations that became unstable: enough to run into the same instability again.

A dump is an .npz file. To replay it with the same model, `make_task(json.loads(str(dump["env"]))).model`:

    mujoco.mj_setState(model, data, dump["physics"], mujoco.mjtState.mjSTATE_INTEGRATION)
    data.ctrl[:] = dump["control"]
    mujoco.mj_step(model, data, task.substeps)
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

MAX_DUMPS = 1000
"""Later ones are only counted: a task that is always unstable must not fill the disk."""


@dataclass(frozen=True, slots=True)
class UnstableDumps:
    """Where dumps go, and of which environment they are: its name and hyperparameters."""

    directory: Path
    env: Mapping[str, Any]

    def write(self, number: int, facts: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        """Writes the dump of event `number`, counted from 0, of a vector environment.

        `facts` are its `seed`, the `index` of the environment in it, `traj_id` and the `step` of the episode; `tensors`
        the last good moment: `physics`, the whole state as in mjSTATE_INTEGRATION, the observed `state`, the `goal`,
        the `action` and the `control` that followed.
        """
        if number >= MAX_DUMPS:
            return
        arrays = {name: np.asarray(value) for name, value in facts.items()}
        arrays |= {name: tensor.numpy(force=True) for name, tensor in tensors.items()}
        arrays["env"] = np.asarray(json.dumps(dict(self.env)))
        path = self.directory / f"{self.env['name']}_seed{facts['seed']}_event{number}_env{facts['index']}.npz"
        with contextlib.suppress(OSError):  # a full disk must not stop training; writing metrics reports it
            self.directory.mkdir(parents=True, exist_ok=True)
            np.savez(path, allow_pickle=False, **arrays)
