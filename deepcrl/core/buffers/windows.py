"""The released code's way to draw from a ring (buffer.py:124-215, train.py:866-909), for `buffer.sampling=paper`.

Every environment gives one window of W consecutive steps, an episode's length, whose start is uniform. The first W - 1
steps of all windows, in one random order, are the transitions of the gradient steps until the next rows come in: none
comes twice, and a step near either end of the ring is in fewer windows than one in its middle. The goal is a later step
of the same trajectory within the window, and a step that has none is its own goal. The newest row is in no window.

Two things differ. The code gives each step's own state a weight of 1e-5 beside those of the later ones, at least 0.99
together: left out. And gradient steps that want more than the windows hold get new ones; there they are not taken.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.checks import one_of
from deepcrl.core.states import check_count, check_range, check_tensor

SAMPLING = ("uniform", "paper")


class Windows:
    """Draws addresses, which are row * N + environment, from a ring of `capacity` rows of N environments."""

    def __init__(self, length: int, capacity: int, num_envs: int, device: torch.device) -> None:
        self._length, self._capacity, self._num_envs = length, capacity, num_envs
        self._start = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._order = torch.zeros(num_envs * (length - 1), dtype=torch.int32, device=device)
        self._num_drawn = self._num_steps = 0

    @property
    def nbytes(self) -> int:
        return self._start.nbytes + self._order.nbytes

    def draw(self, batch_size: int, num_steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns addresses [B] of a ring into which `num_steps` rows have come, and what is left of their windows [B].

        There are new windows when rows have come in since the last draw, or where fewer than B transitions are left.
        """
        if num_steps != self._num_steps or self._num_drawn + batch_size > len(self._order):
            self._renew(num_steps, generator)
        chosen = self._order[self._num_drawn : self._num_drawn + batch_size].long()
        self._num_drawn += batch_size
        env, place = chosen % self._num_envs, chosen // self._num_envs
        step = self._start[env] + place
        return step % self._capacity * self._num_envs + env, self._length - 1 - place

    def _renew(self, num_steps: int, generator: torch.Generator) -> None:
        oldest = max(0, num_steps - self._capacity)
        num_starts = num_steps - oldest - self._length
        assert num_starts > 0, "validated: the prefill is longer than a window"
        device = self._start.device
        self._start = oldest + torch.randint(num_starts, (self._num_envs,), generator=generator, device=device)
        self._order = torch.randperm(len(self._order), generator=generator, device=device).to(torch.int32)
        self._num_drawn, self._num_steps = 0, num_steps

    def state_dict(self) -> dict[str, Any]:
        """Returns what it takes to go on exactly."""
        return {
            "start": self._start,
            "order": self._order,
            "num_drawn": self._num_drawn,
            "num_steps": self._num_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state; ValueError if it is none of windows like these."""
        for name in ("num_drawn", "num_steps"):
            check_count(name, state[name])
            setattr(self, f"_{name}", state[name])
        for name in ("start", "order"):
            check_tensor(name, state[name], getattr(self, f"_{name}"))
        check_range("start", state["start"], 0, max(0, state["num_steps"] - self._length - 1))
        check_range("order", state["order"], 0, len(self._order) - 1)
        self._start, self._order = state["start"].to(self._start), state["order"].to(self._order)


def make_windows(sampling: str, inputs: BufferInputs, capacity: int, repeat: int) -> Windows | None:
    """Returns what draws for `sampling=paper`, None for `uniform`; ValueError for what windows cannot serve."""
    one_of("buffer.sampling", sampling, SAMPLING)
    if sampling == "uniform":
        return None
    if inputs.transitions or inputs.futures:
        raise ValueError(
            "buffer.sampling=paper is for agents that learn from states and their future goals alone, as agent=crl "
            "does; use sampling=uniform"
        )
    if repeat > 1:
        raise ValueError(f"buffer.repeat={repeat} draws several steps of a trajectory, sampling=paper each step once")
    if capacity <= inputs.episode_length:
        raise ValueError(
            f"buffer.sampling=paper draws windows of episode_length={inputs.episode_length} steps: "
            f"buffer.capacity must be greater, got {capacity}"
        )
    return Windows(inputs.episode_length, capacity, inputs.num_envs, inputs.device)
