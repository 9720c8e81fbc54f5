"""MuJoCo on CPU threads, through `mujoco.batch`: results are bit-identical at any thread count."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

_FIRST_BAD = int(mujoco.mjtWarning.mjWARN_BADQPOS)
_LAST_BAD = int(mujoco.mjtWarning.mjWARN_BADCTRL)
_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)
_VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)


class MujocoBatch:
    """The `Physics` of `mujoco.batch.Batch`: float64 tensors that share the batch's memory.

    Must not be used from several Python threads at once. `num_threads` 0 means all processors.
    """

    def __init__(self, model: mujoco.MjModel, num_sims: int, num_threads: int) -> None:
        self.model = model
        self.num_sims = num_sims
        self.device = torch.device("cpu")
        if mujoco.get_mju_user_warning() is None:  # else MuJoCo writes MUJOCO_LOG.TXT to the working directory
            mujoco.set_mju_user_warning(_ignore_warning)
        self._batch = Batch(model, num_sims, num_threads)
        # Copied by numpy: torch shares large copies among its threads, and OpenMP's threads then spin for milliseconds
        # on processors that the physics needs. tests/envs/test_spinning.py counts threads
        self._state = self._batch.state
        # Counts of the warnings by which mj_step says that it found NaN or a huge value (and restarted itself)
        self._bad_warnings = torch.from_numpy(self._batch.warning)[:, _FIRST_BAD : _LAST_BAD + 1, 1]
        self._default = self._state[:1].copy()
        self._fields: dict[str, Tensor] = {}

    def field(self, name: str) -> Tensor:
        if name not in self._fields:
            array = self._batch.bind(name)
            derived = not array.flags.writeable
            array.flags.writeable = True  # torch warns about read-only arrays; nobody writes to this one
            self._fields[name] = torch.from_numpy(array)
            array.flags.writeable = not derived
            if derived:  # a newly bound derived field is zero until the next call
                self._batch.forward(stage=_VELOCITY_STAGE)
        return self._fields[name]

    def step(self, substeps: int, derived: bool) -> Tensor:
        failed = None
        try:
            self._batch.step(nstep=substeps, stage=_VELOCITY_STAGE if derived else _NO_STAGE)
        except SimulationError as error:
            failed = torch.as_tensor(error.ids, dtype=torch.int64)
        unstable = self._bad_warnings.any(dim=1)
        if failed is not None:
            unstable[failed] = True
        return unstable

    def reset(self, ids: Tensor) -> None:
        # Same result as Batch.reset (a simulation is its state row and its warnings), for a third of its cost
        self._state[ids.numpy()] = self._default
        self._bad_warnings[ids] = 0

    def forward(self, ids: Tensor) -> None:
        self._batch.forward(ids.numpy(), stage=_VELOCITY_STAGE)

    def get_state(self) -> Tensor:
        return torch.from_numpy(self._state.copy())

    def set_state(self, state: Tensor) -> None:
        self._state[:] = state.numpy(force=True)
        self._bad_warnings.zero_()

    def data(self, sim: int) -> mujoco.MjData:
        data = self._batch.get_data(sim)
        mujoco.mj_forward(self.model, data)
        return data


def _ignore_warning(warning: str) -> None:
    """`step` returns which simulations are unstable, and the environment reports them."""
