"""The replay buffer: an in-place ring of the last `capacity` steps of every environment, on the training device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepcrl.core.buffers.relabel import Relabel
from deepcrl.core.components import BUFFERS
from deepcrl.core.types import Batch, EnvSpec, Observation, Step, TransitionBatch


@BUFFERS.register("ring")
class Ring:
    """Newest steps of each environment, relabelled with future goals of their own trajectory (paper section 3).

    A transition can be drawn if its trajectory goes on: only then is there a later state to be its goal. These are
    kept as a queue of their addresses, `_drawable[_head:_tail]`, appended to when the next step arrives and dropped
    from when a row is overwritten, so sampling is uniform, exact and O(B), whatever the episodes' lengths. How many
    steps a trajectory has left comes from `_last_step`, its latest step so far. Nothing here waits for the device.

    For an agent that learns from `transitions` it also stores the goal that each step achieved and whether the step
    terminated its episode, and the commanded goal if that is asked for. Then steps that terminated can be drawn too:
    their own future goal is the one that they achieved. The next state is not stored: it stands in the next row.

    Memory per transition: 4 (S + A) bytes of data and 12 of bookkeeping; with `transitions` 4 G + 1 more, with
    `commanded_goals` another 4 G.
    """

    def __init__(
        self,
        spec: EnvSpec,
        num_envs: int,
        device: torch.device,
        generator: torch.Generator,
        relabel: Relabel,
        transitions: bool,
        *,
        capacity: int = 10_000,
        random_goals: float = 0.0,
        commanded_goals: float = 0.0,
    ) -> None:
        """`capacity` counts steps per environment (paper: 10,000); `relabel` says which later step is the goal.

        A share `random_goals` of a batch has goals that uniformly drawn steps of any trajectory achieved, a share
        `commanded_goals` those that the agent was told to reach; only an agent that learns from `transitions` can tell
        what they are worth. Raises ValueError for a value out of range.
        """
        if capacity < 2:
            raise ValueError(f"buffer.capacity must be at least 2 steps per environment, got {capacity}")
        if capacity * num_envs >= 2**31:
            raise ValueError(f"buffer.capacity {capacity} x num_envs {num_envs} is 2^31 transitions or more; lower one")
        _check_shares(random_goals, commanded_goals, transitions)
        self.capacity, self.num_envs = capacity, num_envs
        self._random_goals, self._commanded_goals = random_goals, commanded_goals
        self._generator, self._relabel = generator, relabel
        self._goal_indices = torch.tensor(spec.goal_indices, device=device)
        self._state = torch.empty(capacity, num_envs, spec.state_dim, device=device)
        self._action = torch.empty(capacity, num_envs, spec.action_dim, device=device)
        self._traj_id = torch.empty(capacity, num_envs, dtype=torch.int32, device=device)
        # [L, N, .] what only transitions need
        self._extra: dict[str, Tensor] = {}
        if transitions:
            self._extra["next_achieved"] = torch.empty(capacity, num_envs, spec.goal_dim, device=device)
            self._extra["terminated"] = torch.empty(capacity, num_envs, dtype=torch.bool, device=device)
        if commanded_goals:
            self._extra["commanded"] = torch.empty(capacity, num_envs, spec.goal_dim, device=device)
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
        tensors = [*vars(self).values(), *self._extra.values()]
        return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))

    def insert(self, observation: Observation, action: Tensor, step: Step) -> None:
        """Stores one step of every environment: what was observed, the action [N, A] taken there, what came of it."""
        traj_id = step.traj_id.to(self._traj_id.device)
        row, previous = self.num_steps % self.capacity, (self.num_steps - 1) % self.capacity
        if self.num_steps >= self.capacity:
            self._head += self._num_drawable[row]
        if self.num_steps > 0:
            goes_on = self._traj_id[previous] == traj_id
            self._append_drawable(previous, goes_on | self._extra["terminated"][previous] if self._extra else goes_on)
        if self._extra:
            self._insert_extra(row, observation, step)
        self._state[row].copy_(observation.state)
        self._action[row].copy_(action)
        self._traj_id[row].copy_(traj_id)
        self._newest_step += 1
        self._last_step[self._env_index, traj_id % self.capacity] = self._newest_step.to(torch.int32)
        self.num_steps += 1

    def _insert_extra(self, row: int, observation: Observation, step: Step) -> None:
        next_state = step.next_state.to(self._state.device)
        self._extra["next_achieved"][row].copy_(next_state[:, self._goal_indices])
        self._extra["terminated"][row].copy_(step.terminated)
        if self._commanded_goals:
            self._extra["commanded"][row].copy_(observation.goal)

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
        address = self._draw(batch_size)
        row, env = address // self.num_envs, address % self.num_envs
        step = self._newest_step - (self._newest_step - row) % self.capacity
        traj_id = self._traj_id.view(-1)[address].long()
        steps_left = self._last_step[env, traj_id % self.capacity] - step
        if self._extra:
            # a step that terminated is its trajectory's last; the goal that it achieved counts as one step ahead
            offset = self._relabel(steps_left.clamp_min(1), self._generator)
            return self._transitions(address, (row + offset - 1) % self.capacity * self.num_envs + env)
        offset = self._relabel(steps_left, self._generator)
        goal_address = (row + offset) % self.capacity * self.num_envs + env
        state = _flat(self._state)
        return Batch(
            state=state[address],
            action=_flat(self._action)[address],
            goal=state[goal_address][:, self._goal_indices],
        )

    def _draw(self, num: int) -> Tensor:
        """Draws addresses [num] uniformly from those that can be drawn."""
        u = torch.rand(num, generator=self._generator, device=self._state.device, dtype=torch.float64)
        queue = self._drawable.shape[0] - 1
        position = (self._head + (u * (self._tail - self._head)).long()) % queue
        return self._drawable[position].long()

    def _transitions(self, address: Tensor, goal_address: Tensor) -> TransitionBatch:
        """Returns the transitions at `address` [B], whose own future goals are what `goal_address` [B] achieved."""
        state, achieved = _flat(self._state), _flat(self._extra["next_achieved"])
        terminated = _flat(self._extra["terminated"])[address]
        next_address = (address + ~terminated * self.num_envs) % (self.capacity * self.num_envs)
        # Rows of a batch are in random order, so its first ones can be those with other goals
        batch_size = len(address)
        num_random = round(self._random_goals * batch_size)
        num_other = num_random + round(self._commanded_goals * batch_size)
        goal = achieved[torch.cat([self._draw(num_random), goal_address[num_random:]])]
        if num_other > num_random:
            goal[num_random:num_other] = _flat(self._extra["commanded"])[address[num_random:num_other]]
        return TransitionBatch(
            state=state[address],
            action=_flat(self._action)[address],
            goal=goal,
            next_state=state[next_address],
            next_achieved=achieved[address],
            terminated=terminated,
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
            **{name: filled(ring) for name, ring in self._extra.items()},
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
        for name, ring in self._extra.items():
            ring[:rows].copy_(state[name])
        self._drawable[:addresses].copy_(state["drawable"])
        self._generator.set_state(state["generator"])

    def _filled(self) -> tuple[int, int]:
        return min(self.num_steps, self.capacity), min(int(self._tail), self._drawable.shape[0] - 1)


def _flat(ring: Tensor) -> Tensor:
    """Views [L, N, ...] as [L N, ...], by address."""
    return ring.flatten(0, 1)


def _check_shares(random_goals: float, commanded_goals: float, transitions: bool) -> None:
    for name, share in (("random_goals", random_goals), ("commanded_goals", commanded_goals)):
        if not 0 <= share <= 1:
            raise ValueError(f"buffer.{name} is a share between 0 and 1, got {share}")
        if share and not transitions:
            raise ValueError(f"buffer.{name}={share} is for an agent that learns from transitions, which this is not")
    if random_goals + commanded_goals > 1:
        raise ValueError(f"buffer.random_goals={random_goals} and commanded_goals={commanded_goals} exceed 1 together")
