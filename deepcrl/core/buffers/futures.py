"""What a ring keeps and reads to tell how trajectories go on."""

from __future__ import annotations

from dataclasses import fields

import torch
from einops import rearrange
from torch import Tensor

from deepcrl.core.types import EnvSpec, FutureBatch, Futures, TransitionBatch


class FutureReader:
    """Adds to a batch of a ring of L rows and N environments what its agent wants to know of the rows' futures.

    Steps left, falls and later actions stand in the ring itself. For windows of achieved goals it keeps these once
    more, [N, L, G]: there a window is one piece of memory, where in the ring each of its states is N states away from
    the next, and reading a window of 1000 costs tens of times as much.
    """

    def __init__(self, futures: Futures, spec: EnvSpec, num_rows: int, num_envs: int, device: torch.device) -> None:
        self._futures, self._num_rows, self._num_envs = futures, num_rows, num_envs
        self._goal_indices = torch.tensor(spec.goal_indices, device=device)
        kept = num_rows if futures.window else 0
        self._achieved = torch.zeros(num_envs, kept, spec.goal_dim, device=device)
        self._ahead = torch.arange(max(futures.window, futures.chunk), device=device)

    @property
    def nbytes(self) -> int:
        return self._achieved.nbytes

    def note(self, rows: slice, state: Tensor) -> None:
        """Keeps what the states [R, N, S] of `rows` achieve."""
        if self._futures.window:
            self._achieved[:, rows] = rearrange(state[..., self._goal_indices], "row env goal -> env row goal")

    def read(
        self, batch: TransitionBatch, row: Tensor, env: Tensor, steps_left: Tensor, action: Tensor, terminated: Tensor
    ) -> FutureBatch:
        """Returns `batch` and what came after the rows [B] of the environments [B].

        `action` [L N, A] and `terminated` [L N] are the ring's, by address. The last row of a trajectory says how it
        ended.
        """
        last = self._row_after(row, steps_left) * self._num_envs + env
        later = self._ahead[1 : self._futures.chunk]  # [H - 1]
        next_row = self._row_after(row[:, None], torch.minimum(later, steps_left[:, None]))
        ahead = torch.minimum(self._ahead[: self._futures.window], steps_left[:, None])
        return FutureBatch(
            **{field.name: getattr(batch, field.name) for field in fields(batch)},
            steps_left=steps_left,
            fell=terminated[last],
            next_actions=action[next_row * self._num_envs + env[:, None]] * (later <= steps_left[:, None])[..., None],
            achieved_ahead=self._achieved[env[:, None], self._row_after(row[:, None], ahead)],
        )

    def _row_after(self, row: Tensor, steps: Tensor) -> Tensor:
        return (row + steps) % self._num_rows
