"""MuJoCo Warp: MuJoCo's own equations in float32, as kernels that step thousands of simulations on a GPU.

The kernels of a step are recorded once, in a graph, and replayed: the host launches one thing per control step. Torch
tensors share the memory of Warp's arrays; nothing is copied to the host. On a CPU the same code runs on one thread.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from functools import partial
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from deepcrl.core.checks import suggest
from deepcrl.envs.physics.sizing import bounds

STATE = (
    *("time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied"),
    *("eq_active", "mocap_pos", "mocap_quat", "userdata", "plastic"),
)
"""The integration state in the order of mj_getState."""


class MujocoWarp:
    """The `Physics` of MuJoCo Warp on `device`, a CPU or a CUDA GPU: float32 tensors on it.

    The same start and actions give bit-identical results on the same kind of device, at any time: contacts are sorted
    and sums taken in one order (MuJoCo Warp's DeterminismType.ALL). Where contacts or constraints do not fit in the
    memory made for them, Warp drops some and says so on the terminal; such a simulation counts as unstable.

    Must not be used from several Python threads at once. Raises ValueError for a model that MuJoCo Warp lacks
    something for, such as the solver PGS.
    """

    def __init__(self, model: mujoco.MjModel, num_sims: int, device: torch.device) -> None:
        import mujoco_warp as mjw
        import warp as wp

        wp.config.log_level = wp.LOG_WARNING  # else Warp prints a line per kernel that it loads
        wp.init()
        self.model = model
        self.num_sims = num_sims
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        self.device = device
        self._host = mujoco.MjData(model)
        kinds = (
            "NEFC",
            "NJMAX_NNZ",
            "BROADPHASE",
            "NARROWPHASE",
            "CCD",
            "HFIELD",
        )  # the memory overflows, not the solver's iteration limit
        self._out_of_memory = int(sum(mjw.OverflowType[kind] for kind in kinds))
        size = bounds(model)
        with wp.ScopedDevice(wp.device_from_torch(device)):
            try:
                self._model = mjw.put_model(model)
            except (NotImplementedError, ValueError) as error:
                raise ValueError(f"physics=mujoco_warp cannot simulate this model: {error}") from error
            self._model.opt.deterministic = mjw.DeterminismType.ALL
            self._model.opt.warn_overflow = self._out_of_memory
            self._data = mjw.make_data(
                model, num_sims, nconmax=size.contacts, nccdmax=size.searched_pairs, njmax=size.constraints
            )
            wp.synchronize_device()  # torch uses another stream
        self._overflow = wp.to_torch(self._data.overflow)
        self._fields: dict[str, Tensor] = {}
        self._state = [self._view(name).view(num_sims, -1) for name in STATE]
        self._default = [view[:1].clone() for view in self._state]
        self._finite = [self._view(name) for name in ("qpos", "qvel", "qacc")]
        self._graphs: dict[int, Any] = {}

    def field(self, name: str) -> Tensor:
        if name not in self._fields:
            self._fields[name] = self._view(name)
            if name not in STATE:
                self._replay(0)
        return self._fields[name]

    def step(self, substeps: int, derived: bool) -> Tensor:
        self._replay(substeps)
        if derived:
            self._replay(0)
        unstable = (self._overflow & self._out_of_memory) != 0
        for value in self._finite:
            unstable |= ~(value.abs() <= mujoco.mjMAXVAL).all(dim=1)  # `<=` is False for NaN as well
        return unstable

    def reset(self, ids: Tensor) -> None:
        for view, default in zip(self._state, self._default, strict=True):
            view[ids] = default
        self._overflow[ids] = 0

    def forward(self, ids: Tensor) -> None:
        self._replay(0)  # Warp cannot compute a subset; recomputing the others does not change them

    def get_state(self) -> Tensor:
        return torch.cat([view.float() for view in self._state], dim=1)

    def set_state(self, state: Tensor) -> None:
        columns = state.split([view.shape[1] for view in self._state], dim=1)
        for view, values in zip(self._state, columns, strict=True):
            view.copy_(values)
        self._overflow.zero_()

    def data(self, sim: int) -> mujoco.MjData:
        data = mujoco.MjData(self.model)
        row = torch.cat([view[sim].double() for view in self._state])
        mujoco.mj_setState(self.model, data, row.cpu().numpy(), int(mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_forward(self.model, data)
        return data

    def _view(self, name: str) -> Tensor:
        """Returns the live memory of field `name` in MjData's shape, [N, ...]."""
        import warp as wp

        array = getattr(self._data, name, None)
        if not isinstance(array, wp.array) or not hasattr(self._host, name):
            known = [field for field, value in vars(self._data).items() if isinstance(value, wp.array)]
            raise ValueError(suggest("field", name, filter(partial(hasattr, self._host), known)))
        return wp.to_torch(array).view(self.num_sims, *np.shape(getattr(self._host, name)))

    def _replay(self, substeps: int) -> None:
        """Runs that many time steps; 0 computes the derived fields at the present state."""
        import warp as wp

        if substeps not in self._graphs:
            with wp.ScopedDevice(wp.device_from_torch(self.device)), wp.ScopedCapture() as capture:
                self._record(substeps)
            self._graphs[substeps] = capture.graph
        # On torch's stream, so that it waits for what tasks wrote and they wait for it
        stream = wp.stream_from_torch(self.device) if self.device.type == "cuda" else None
        wp.capture_launch(self._graphs[substeps], stream)

    def _record(self, substeps: int) -> None:
        import mujoco_warp as mjw

        for _ in range(substeps):
            mjw.step(self._model, self._data)
        if not substeps:
            # The same stages as in mujoco_batch: position and velocity. Acceleration sensors keep their last value
            mjw.fwd_position(self._model, self._data, factorize=False)
            mjw.sensor_pos(self._model, self._data)
            mjw.fwd_velocity(self._model, self._data)
            mjw.sensor_vel(self._model, self._data)
