"""The replay buffer: an in-place ring of the last `capacity` steps of every environment, on the training device."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from deepcrl.core.buffers.columns import check_shares, column_layout, read_transitions
from deepcrl.core.buffers.futures import FutureReader
from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.buffers.same_trajectory import TrajectoryStarts
from deepcrl.core.buffers.windows import make_windows
from deepcrl.core.checks import at_least
from deepcrl.core.components import BUFFERS
from deepcrl.core.states import check_count, check_range, check_tensor
from deepcrl.core.types import Batch, Futures, Observation, Step, TransitionBatch


@BUFFERS.register("ring")
class Ring:
    """Newest steps of each environment, relabelled with future goals of their own trajectory (paper section 3).

    A transition can be drawn if its trajectory goes on: only then is there a later state to be its goal. These are
    kept as a queue of their addresses, `_drawable[_head:_tail]`, appended to when the next step arrives and dropped
    from when a row is overwritten, so sampling is uniform, exact and O(B), whatever the episodes' lengths. How many
    steps a trajectory has left comes from `_last_step`, its latest step so far. Nothing here waits for the device.

    For an agent that learns from `transitions` it also stores the goal that each step achieved and whether the step
    terminated its episode, and the commanded goal if that is asked for. Then steps that terminated can be drawn too:
    their own future goal is the one that they achieved. The next state is not stored: it stands in the next row. An
    agent that learns from `futures` is told more (`FutureReader`), for which only windows of goals need more memory.

    Memory per transition: 4 (S + A) bytes of data and 12 of bookkeeping; with `transitions` 4 G + 1 more, with
    `commanded_goals` another 4 G, and with windows of goals as well.
    """

    offline = False

    def __init__(
        self,
        inputs: BufferInputs,
        *,
        capacity: int = 10_000,
        random_goals: float = 0.0,
        commanded_goals: float = 0.0,
        repeat: int = 1,
        sampling: str = "uniform",
    ) -> None:
        """`capacity` counts steps per environment (paper: 10,000); `relabel` says which later step is the goal.

        With `random_goals` = r and `commanded_goals` = c, a transition's goal is with probability 1 - r - c one that
        `relabel` draws from its own future, with r what a uniformly drawn step of any trajectory achieved, and with c
        the one that the agent was told to reach; of a batch of B these are round(r B) and round(c B) rows. Only an
        agent that learns from `transitions` can tell what such goals are worth. Of each trajectory that is drawn,
        `repeat` steps stand in the batch, each with its own goal (CRTR). `sampling` is `uniform`, or `paper` for the
        released code's windows (`buffers.windows`). Raises ValueError for a value out of range.
        """
        if capacity < 2:
            raise ValueError(f"buffer.capacity must be at least 2 steps per environment, got {capacity}")
        at_least("buffer.repeat", repeat, 1)
        check_shares(random_goals, commanded_goals, inputs.transitions)
        self.capacity, self.num_envs, self._repeat = capacity, inputs.num_envs, repeat
        self._random_goals, self._commanded_goals = random_goals, commanded_goals
        self._device, self._generator, self._relabel = inputs.device, inputs.generator, inputs.relabel
        self._transitions = inputs.transitions or inputs.futures is not None
        self._spec, self._futures = inputs.spec, inputs.futures
        self._goal_indices = torch.tensor(inputs.spec.goal_indices, device=self._device)
        self._env_index = torch.arange(self.num_envs, device=self._device)
        self._layout = column_layout(inputs, commanded_goals)
        self._windows = make_windows(sampling, inputs, capacity, repeat)
        self._make_books(self._count_rows(inputs))
        self._columns = self._make_columns()

    def _count_rows(self, inputs: BufferInputs) -> int:
        """How many rows there is room for, of which the newest `capacity` are drawn from."""
        return self.capacity

    def _make_columns(self) -> dict[str, Tensor]:
        """Returns the columns [L, N, .] by name, not filled."""
        return {
            name: torch.empty(self._num_rows, *shape, dtype=dtype, device=self._device)
            for name, (shape, dtype) in self._layout.items()
        }

    def _make_books(self, num_rows: int) -> None:
        """Starts the bookkeeping for `num_rows` rows, of which none is filled."""
        if num_rows * self.num_envs >= 2**31:
            raise ValueError(
                f"buffer.capacity {self.capacity} x num_envs {self.num_envs} is 2^31 transitions or more; lower one"
            )
        device, self._num_rows = self._device, num_rows
        # [N, L] latest step of trajectory `traj_id`, at traj_id % L: at most L trajectories of an env are in the ring
        self._last_step = torch.zeros(self.num_envs, self.capacity, dtype=torch.int32, device=device)
        # one slot more than can be filled: where the addresses that must not be drawn are written
        self._drawable = torch.zeros(self.capacity * self.num_envs + 1, dtype=torch.int32, device=device)
        self._num_drawable = torch.zeros(num_rows, dtype=torch.int64, device=device)
        self._head = torch.zeros((), dtype=torch.int64, device=device)
        self._tail = torch.zeros((), dtype=torch.int64, device=device)
        self._newest_step = torch.full((), -1, dtype=torch.int64, device=device)
        self._first_step = self.num_steps = 0
        self._starts = TrajectoryStarts(self.capacity if self._repeat > 1 else 0, self.num_envs, device)
        self._reader = FutureReader(self._futures or Futures(), self._spec, num_rows, self.num_envs, device)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, filled or not."""
        return self._books_nbytes + sum(column.nbytes for column in self._columns.values())

    @property
    def _books_nbytes(self) -> int:
        return (
            self._reader.nbytes
            + self._starts.nbytes
            + (self._windows.nbytes if self._windows else 0)
            + sum(t.nbytes for t in vars(self).values() if isinstance(t, Tensor))
        )

    @property
    def disk_nbytes(self) -> int:
        """Bytes of disk that are still to be taken: none."""
        return 0

    def insert(self, observation: Observation, action: Tensor, step: Step) -> None:
        """Stores one step of every environment: what was observed, the action [N, A] taken there, what came of it."""
        traj_id = step.traj_id.to(self._device)
        values = {"state": observation.state, "action": action, "traj_id": traj_id}
        if self._transitions:
            values["next_achieved"] = step.next_state.to(self._device)[:, self._goal_indices]
            values["terminated"] = step.terminated
        if self._commanded_goals:
            values["commanded"] = observation.goal
        self._write(self.num_steps % self._num_rows, values)
        self._note(traj_id)

    def _write(self, row: int, values: dict[str, Tensor]) -> None:
        """Stores what [N, .] goes into each column of `row`."""
        for name, value in values.items():
            self._columns[name][row].copy_(value)

    def _note(self, traj_id: Tensor) -> None:
        """Keeps the books of the row that was just written, whose trajectories are `traj_id` [N]."""
        step, previous = self.num_steps, (self.num_steps - 1) % self._num_rows
        if step - self.capacity >= self._first_step:
            self._head += self._num_drawable[(step - self.capacity) % self._num_rows]
        if step > self._first_step:
            drawable = self._columns["traj_id"][previous] == traj_id
            if self._transitions:
                drawable |= self._columns["terminated"][previous]
            self._append_drawable(previous, drawable)
        now = slice(step % self._num_rows, step % self._num_rows + 1)
        self._reader.note(now, self._columns["state"][now])
        self._newest_step += 1
        if self._repeat > 1:
            new = self._columns["traj_id"][previous] != traj_id
            self._starts.note(self._newest_step, traj_id, new | (step == self._first_step))
        self._last_step[self._env_index, traj_id % self.capacity] = self._newest_step.to(torch.int32)
        self.num_steps += 1

    def _append_drawable(self, row: int, drawable: Tensor) -> None:
        """Queues the addresses of `row` for the environments [N] where it can be drawn."""
        queue = self._drawable.shape[0] - 1
        count = drawable.cumsum(0)
        slot = torch.where(drawable, (self._tail + count - 1) % queue, queue)
        self._drawable[slot] = (self._env_index + row * self.num_envs).to(torch.int32)
        self._num_drawable[row] = count[-1]
        self._tail += count[-1]

    def sample(self, batch_size: int) -> Batch:
        """Draws B transitions uniformly, with replacement, each with its own goal. Needs one that can be drawn."""
        if self._windows:
            address, window_left = self._windows.draw(batch_size, self.num_steps, self._generator)
            steps_left = torch.minimum(self._look_up(address)[3], window_left)
            offset = self._relabel(steps_left.clamp_min(1), self._generator)
            return self._batch_at(address, offset * (steps_left > 0))
        address = self._draw(-(-batch_size // self._repeat))
        if self._repeat > 1:
            address = self._repeated(address)[:batch_size]
        row, env, _, steps_left = self._look_up(address)
        if self._transitions:
            # a step that terminated is its trajectory's last; the goal that it achieved counts as one step ahead
            offset = self._relabel(steps_left.clamp_min(1), self._generator)
            batch = self._transitions_at(address, (row + offset - 1) % self._num_rows * self.num_envs + env)
            if self._futures is None:
                return batch
            return self._reader.read(batch, row, env, steps_left, self._flat("action"), self._flat("terminated"))
        return self._batch_at(address, self._relabel(steps_left, self._generator))

    def _batch_at(self, address: Tensor, offset: Tensor) -> Batch:
        """Returns what stands at `address` [B], and as its goal what was achieved `offset` [B] steps later."""
        state = self._flat("state")
        goal = state[(address + offset * self.num_envs) % len(state)][:, self._goal_indices]
        return Batch(state=state[address], action=self._flat("action")[address], goal=goal)

    def _look_up(self, address: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns row, environment, trajectory and steps left, each [B], of addresses [B]."""
        row, env = address // self.num_envs, address % self.num_envs
        step = self._newest_step - (self._newest_step - row) % self._num_rows
        traj_id = self._flat("traj_id")[address].long()
        return row, env, traj_id, self._last_step[env, traj_id % self.capacity] - step

    def _repeated(self, address: Tensor) -> Tensor:
        """Returns addresses [K], then `repeat` - 1 times as many: of other steps of the same trajectories, in order."""
        row, env, traj_id, steps_left = self._look_up(address)
        end = self._last_step[env, traj_id % self.capacity].long()
        if self._transitions:  # a step that terminated can be drawn too, once the next one has come
            last = (row + steps_left) % self._num_rows * self.num_envs + env
            end += self._flat("terminated")[last] & (end < self._newest_step)
        oldest = self._newest_step - self.capacity + 1
        step = self._starts.draw(self._repeat - 1, env, traj_id, end, oldest, self._generator)
        return torch.cat([address, rearrange(step % self._num_rows * self.num_envs + env, "copy k -> (copy k)")])

    def _flat(self, name: str) -> Tensor:
        """Views a column [L, N, ...] as [L N, ...]: by address, which is row * N + env."""
        return rearrange(self._columns[name], "row env ... -> (row env) ...")

    def _draw(self, num: int) -> Tensor:
        """Draws addresses [num] uniformly from those that can be drawn."""
        u = torch.rand(num, generator=self._generator, device=self._device, dtype=torch.float64)
        queue = self._drawable.shape[0] - 1
        position = (self._head + (u * (self._tail - self._head)).long()) % queue
        return self._drawable[position].long()

    def _transitions_at(self, address: Tensor, goal_address: Tensor) -> TransitionBatch:
        """Returns the transitions at `address` [B], whose own future goals are what `goal_address` [B] achieved."""
        achieved = self._flat("next_achieved")
        # Rows of a batch are in random order, so its first ones can be those with other goals
        batch_size = len(address)
        num_random = round(self._random_goals * batch_size)
        num_other = num_random + round(self._commanded_goals * batch_size)
        goal = achieved[torch.cat([self._draw(num_random), goal_address[num_random:]])]
        if num_other > num_random:
            goal[num_random:num_other] = self._flat("commanded")[address[num_random:num_other]]
        return read_transitions(self._flat, address, goal, self.num_envs)

    def state_dict(self) -> dict[str, Any]:
        """Returns the filled part of the ring, its bookkeeping and its random generator.

        A full ring is not copied; a part of one is, since saving a view would save all of its storage.
        """
        rows, addresses = self._filled()

        def filled(ring: Tensor) -> Tensor:
            return ring if rows == self.capacity else ring[:rows].clone()

        return {
            **{name: filled(column) for name, column in self._columns.items()},
            "last_step": self._last_step,
            "drawable": self._drawable[:addresses].clone(),
            "num_drawable": self._num_drawable,
            "head": self._head,
            "tail": self._tail,
            "num_steps": self.num_steps,
            "generator": self._generator.get_state(),
            **({"windows": self._windows.state_dict()} if self._windows else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state; ValueError if it is none of a ring like this."""
        check_count("num_steps", state["num_steps"])
        self.num_steps = state["num_steps"]
        self._newest_step.fill_(self.num_steps - 1)
        for name in ("last_step", "num_drawable", "head", "tail"):
            check_tensor(name, state[name], getattr(self, f"_{name}"))
            getattr(self, f"_{name}").copy_(state[name])
        check_range("head", self._head, 0, int(self._tail))
        check_range("tail", self._tail, 0, int(self._head) + self.capacity * self.num_envs)
        rows, addresses = self._filled()
        for name, column in self._columns.items():
            check_tensor(name, state[name], column[:rows])
            column[:rows].copy_(state[name])
        self._reader.note(slice(rows), self._columns["state"][:rows])
        if self._repeat > 1 and self.num_steps:
            stored = self._rows(self.num_steps)
            steps = torch.arange(self.num_steps - len(stored), self.num_steps)
            self._starts.load(steps, self._columns["traj_id"][stored])
        check_tensor("drawable", state["drawable"], self._drawable[:addresses])
        check_range("drawable", state["drawable"], 0, rows * self.num_envs - 1)
        self._drawable[:addresses].copy_(state["drawable"])
        if self._windows:
            self._windows.load_state_dict(state["windows"])
        self._generator.set_state(state["generator"])

    def history(self) -> dict[str, Tensor]:
        """Returns a copy of what is stored, by column [L, N, .], oldest step first."""
        rows = self._rows(self.num_steps)
        return {name: column[rows] for name, column in self._columns.items()}

    def _rows(self, num_steps: int) -> Tensor:
        """Returns the rows that are drawn from when `num_steps` are stored, oldest first."""
        return torch.arange(max(0, num_steps - self.capacity), num_steps) % self._num_rows

    def _filled(self) -> tuple[int, int]:
        return min(self.num_steps, self.capacity), min(int(self._tail), self._drawable.shape[0] - 1)
