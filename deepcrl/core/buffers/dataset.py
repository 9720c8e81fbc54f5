"""A fixed dataset, from which an agent learns offline."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.ring import Ring
from deepcrl.core.buffers.sources import open_source
from deepcrl.core.buffers.sources.trajectories import Trajectories
from deepcrl.core.components import BUFFERS
from deepcrl.core.types import Batch, EnvSpec, Observation, Step


@BUFFERS.register("dataset")
class Dataset:
    """A fixed dataset for offline training: a run collects nothing, and every batch comes from `path`.

    Inside is a ring of one environment that is full from the start, so goals are relabelled as they are online. A
    state's goal is what stands at the goal indices that the environment declares.
    """

    offline = True

    def __init__(self, inputs: BufferInputs, *, path: str = "", random_goals: float = 0.0, repeat: int = 1) -> None:
        """`path` is an OGBench `.npz`, or a Minari dataset (its id, or its folder), `{seed}` in it standing for
        the run's seed; the rest as in `ring`.

        Raises ValueError, in one line, for a dataset that is missing, damaged, empty, or does not fit the environment.
        """
        source = open_source(path)
        _check_sizes(path, source.state_dims, source.action_dim, inputs.spec)
        if source.num_states < 2:
            raise ValueError(f"buffer.path={path} has no trajectory of two states or more")
        if inputs.futures and inputs.futures.falls and not source.says_terminations:
            raise ValueError(
                f"buffer.path={path} does not say which trajectories fell, which agent.survival learns from; "
                "a Minari dataset says it"
            )
        self._path, self._generator, self._sha256 = path, inputs.generator, ""
        inputs = replace(inputs, num_envs=1)
        self._ring = Ring(inputs, capacity=source.num_states, random_goals=random_goals, repeat=repeat)
        if inputs.device.type != "meta":
            trajectories = source.read(inputs.spec)
            self._sha256 = _digest(trajectories)
            self._ring.load_state_dict(_ring_state(trajectories, inputs))

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._ring.nbytes

    @property
    def disk_nbytes(self) -> int:
        """Bytes of disk that are still to be taken: none."""
        return 0

    def insert(self, observation: Observation, action: Tensor, step: Step) -> None:
        """Raises TypeError."""
        raise TypeError(f"the dataset {self._path} is fixed: nothing can be inserted")

    def sample(self, batch_size: int) -> Batch:
        """Draws B transitions uniformly, with replacement, each with its own goal."""
        return self._ring.sample(batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Returns the random generator, and a digest of the data, which stay where they are."""
        return {"generator": self._generator.get_state(), "sha256": self._sha256}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on drawing. Raises ValueError if the data are not those that the state was saved with."""
        if state["sha256"] != self._sha256:
            raise ValueError(f"buffer.path={self._path} holds other data than when this was saved")
        self._generator.set_state(state["generator"])


def _check_sizes(path: str, state_dims: tuple[int, ...], action_dim: int, spec: EnvSpec) -> None:
    if spec.state_dim not in state_dims or spec.action_dim != action_dim:
        states = " or ".join(map(str, state_dims))
        raise ValueError(
            f"buffer.path={path} has states of {states} numbers and actions of {action_dim}; "
            f"the env has {spec.state_dim} and {spec.action_dim}"
        )


def _digest(trajectories: Trajectories) -> str:
    digest = hashlib.sha256()
    for array in (trajectories.state, trajectories.action, trajectories.last, trajectories.terminated):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _ring_state(trajectories: Trajectories, inputs: BufferInputs) -> dict[str, Any]:
    """Returns the state of a ring of one environment into which every row was inserted."""
    last = torch.from_numpy(trajectories.last)
    rows, goes_on = torch.arange(len(last)), ~last
    traj_id = torch.cumsum(last, 0) - last.long()
    state, action = torch.from_numpy(trajectories.state), torch.from_numpy(trajectories.action)
    columns = {"state": state, "action": action, "traj_id": traj_id}
    if inputs.transitions or inputs.futures:
        columns["next_achieved"] = state[(rows + goes_on).clamp_max(len(last) - 1)][..., inputs.spec.goal_indices]
        columns["terminated"] = torch.from_numpy(trajectories.terminated)
    last_step = torch.zeros(1, len(last), dtype=torch.int32)
    last_step[0, traj_id[last]] = rows[last].int()
    if inputs.futures:  # a fall's state is a row as well, but not a step that was survived
        last_step[0, traj_id[last]] -= torch.from_numpy(trajectories.terminated)[rows[last] - 1].int()
    return {
        **{name: rearrange(column, "row ... -> row 1 ...") for name, column in columns.items()},
        "last_step": last_step,
        "drawable": rows[goes_on],
        "num_drawable": goes_on.long(),
        "head": torch.tensor(0),
        "tail": goes_on.sum(),
        "num_steps": len(last),
        "generator": inputs.generator.get_state(),
    }
