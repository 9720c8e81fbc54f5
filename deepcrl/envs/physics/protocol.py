"""The protocol between tasks and physics engines: live torch tensors over N simulations of one model."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from typing import Protocol

import mujoco
import torch
from torch import Tensor


class Physics(Protocol):
    """N simulations of one MuJoCo model, stepped together.

    Tasks see physics only through this protocol and only as torch tensors, so that one task runs on every engine.
    """

    model: mujoco.MjModel
    num_sims: int
    device: torch.device

    def field(self, name: str) -> Tensor:
        """Returns MjData's field `name` of every simulation, [N, ...], without a copy.

        State fields (qpos, qvel, ctrl, mocap_pos, ...) are live both ways, in the engine's own float type. Derived
        fields (xpos, cvel, ...) are refreshed by every call. Raises ValueError for a field that does not exist.
        """
        ...

    def step(self, substeps: int, derived: bool) -> Tensor:
        """Advances every simulation by `substeps` time steps; returns which became unstable, [N] bool.

        An unstable simulation (not finite, or an engine error) holds no meaningful state until it is reset. As with
        mj_step, derived fields describe the state before the last substep, unless `derived` is set: then those that
        depend on positions and velocities are computed once more, at the new state.
        """
        ...

    def reset(self, ids: Tensor) -> None:
        """Puts simulations `ids`, [K] int64 and ascending, back to the model's defaults. Derived fields are stale."""
        ...

    def forward(self, ids: Tensor) -> None:
        """Computes the derived fields of simulations `ids` that depend on positions and velocities.

        An engine may bring those of the others up to date as well.
        """
        ...

    def get_state(self) -> Tensor:
        """Returns a copy of the whole integration state, [N, X]: time, qpos, qvel, warm start, controls, mocap."""
        ...

    def set_state(self, state: Tensor) -> None:
        """Restores `get_state`'s result, of the same model: from then on the simulations go on bit-identically.

        Derived fields are stale until the next `step` or `forward`.
        """
        ...

    def data(self, sim: int) -> mujoco.MjData:
        """Returns a copy of simulation `sim` as an MjData, with every derived field computed, to render or inspect."""
        ...
