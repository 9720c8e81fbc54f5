"""The replay buffer: an in-place ring of the last `capacity` steps of every environment, on the training device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepcrl.core.buffers.relabel import Relabel
from deepcrl.core.components import BUFFERS
from deepcrl.core.types import Batch, EnvSpec


@BUFFERS.register("ring")
class Ring:
    """Newest steps of each environment, relabelled with future goals of their own trajectory (paper section 3).

    A transition can be drawn if its trajectory goes on: only then is there a later state to be its goal. These are
    kept as a queue of their addresses, `_drawable[_head:_tail]`, appended to when the next step arrives and dropped
    from when a row is overwritten, so sampling is uniform, exact and O(B), whatever the episodes' lengths. How many
    steps a trajectory has left comes from `_last_step`, its latest step so far. Nothing here waits for the device.

    Memory per transition: 4 (S + A) bytes of data and 12 of bookkeeping.
    """

    def __init__(
        self,
        spec: EnvSpec,
        num_envs: int,
        device: torch.device,
        generator: torch.Generator,
        relabel: Relabel,
        *,
        capacity: int = 10_000,
    ) -> None:
        """`capacity` counts steps per environment (paper: 10,000); `relabel` says which later step is the goal."""
        if capacity < 2:
            raise ValueError(f"buffer.capacity must be at least 2 steps per environment, got {capacity}")
        if capacity * num_envs >= 2**31:
            raise ValueError(f"buffer.capacity {capacity} x num_envs {num_envs} is 2^31 transitions or more; lower one")
        self.capacity, self.num_envs = capacity, num_envs
        self._generator, self._relabel = generator, relabel
        self._goal_indices = torch.tensor(spec.goal_indices, device=device)
        self._state = torch.empty(capacity, num_envs, spec.state_dim, device=device)
        self._action = torch.empty(capacity, num_envs, spec.action_dim, device=device)
        self._traj_id = torch.empty(capacity, num_envs, dtype=torch.int32, device=device)
        # [N, L] latest step of trajectory `traj_id`, at traj_id % L: at most L trajectories of an env are in the ring
        self._last_step = torch.zeros(num_envs, capacity, dtype=torch.int32, device=device)
        # one slot more than can be filled: where the addresses that must not be drawn are written
        self._drawable = torch.zeros(capacity * num_envs + 1, dtype=torch.int32, device=device)
        self._num_drawable = torch.zeros(capacity, dtype=torch.int64, device=device)
        self._head = torch.zeros((), dtype=torch.int64, device=device)
        self._tail = torch.zeros((), dtype=torch.int64, device=device)
        self._newest_step = torch.full((), -1, dtype=torch.int64, device=device)
        self._env_index = torch.arange(num_envs, device=device)
        self.num_steps = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors, filled or not."""
        return sum(tensor.nbytes for tensor in vars(self).values() if isinstance(tensor, Tensor))

    def insert(self, state: Tensor, action: Tensor, traj_id: Tensor) -> None:
        """Stores one step of every environment: state [N, S] acted in, action [N, A], traj_id [N] int64."""
        traj_id = traj_id.to(self._traj_id.device)
        row, previous = self.num_steps % self.capacity, (self.num_steps - 1) % self.capacity
        if self.num_steps >= self.capacity:
            self._head += self._num_drawable[row]
        if self.num_steps > 0:
            self._append_drawable(previous, self._traj_id[previous] == traj_id)
        self._state[row].copy_(state)
        self._action[row].copy_(action)
        self._traj_id[row].copy_(traj_id)
        self._newest_step += 1
        self._last_step[self._env_index, traj_id % self.capacity] = self._newest_step.to(torch.int32)
        self.num_steps += 1

    def _append_drawable(self, row: int, goes_on: Tensor) -> None:
        """Queues the addresses of `row` for the environments whose trajectory `goes_on` [N] after it."""
        queue = self._drawable.shape[0] - 1
        count = goes_on.cumsum(0)
        slot = torch.where(goes_on, (self._tail + count - 1) % queue, queue)
        self._drawable[slot] = (self._env_index + row * self.num_envs).to(torch.int32)
        self._num_drawable[row] = count[-1]
        self._tail += count[-1]

    def sample(self, batch_size: int) -> Batch:
        """Draws B transitions uniformly, with replacement, each with its own goal. Needs one that can be drawn."""
        device = self._state.device
        u = torch.rand(batch_size, generator=self._generator, device=device, dtype=torch.float64)
        queue = self._drawable.shape[0] - 1
        position = (self._head + (u * (self._tail - self._head)).long()) % queue
        address = self._drawable[position].long()
        row, env = address // self.num_envs, address % self.num_envs
        step = self._newest_step - (self._newest_step - row) % self.capacity
        traj_id = self._traj_id.view(-1)[address].long()
        steps_left = self._last_step[env, traj_id % self.capacity] - step
        offset = self._relabel(steps_left, self._generator)
        goal_address = (row + offset) % self.capacity * self.num_envs + env
        state = self._state.view(-1, self._state.shape[-1])
        return Batch(
            state=state[address],
            action=self._action.view(-1, self._action.shape[-1])[address],
            goal=state[goal_address][:, self._goal_indices],
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns the filled part of the ring, its bookkeeping and its random generator.

        A full ring is not copied; a part of one is, since saving a view would save all of its storage.
        """
        rows, addresses = self._filled()

        def filled(ring: Tensor) -> Tensor:
            return ring if rows == self.capacity else ring[:rows].clone()

        return {
            "state": filled(self._state),
            "action": filled(self._action),
            "traj_id": filled(self._traj_id),
            "last_step": self._last_step,
            "drawable": self._drawable[:addresses].clone(),
            "num_drawable": self._num_drawable,
            "head": self._head,
            "tail": self._tail,
            "num_steps": self.num_steps,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.num_steps = state["num_steps"]
        self._newest_step.fill_(self.num_steps - 1)
        for name in ("last_step", "num_drawable", "head", "tail"):
            getattr(self, f"_{name}").copy_(state[name])
        rows, addresses = self._filled()
        for name in ("state", "action", "traj_id"):
            getattr(self, f"_{name}")[:rows].copy_(state[name])
        self._drawable[:addresses].copy_(state["drawable"])
        self._generator.set_state(state["generator"])

    def _filled(self) -> tuple[int, int]:
        return min(self.num_steps, self.capacity), min(int(self._tail), self._drawable.shape[0] - 1)
