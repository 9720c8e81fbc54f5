"""Several rows of a batch from one trajectory: CRTR's negatives (Ziarko et al. 2025, arXiv 2508.13113).

What is constant in an episode tells such rows apart no more, so a contrastive critic has to look at what changes.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor


class TrajectoryStarts:
    """The first step of every trajectory in a ring of L rows and N environments, [N, L] at traj_id % L."""

    def __init__(self, num_rows: int, num_envs: int, device: torch.device) -> None:
        self._first_step = torch.zeros(num_envs, num_rows, dtype=torch.int64, device=device)
        self._env = torch.arange(num_envs, device=device)

    @property
    def nbytes(self) -> int:
        return self._first_step.nbytes

    def note(self, step: Tensor, traj_id: Tensor, begins: Tensor) -> None:
        """Notes `step`, a scalar, for the trajectories `traj_id` [N] that `begins` [N] with it."""
        slot = (self._env, traj_id % self._first_step.shape[1])
        self._first_step[slot] = torch.where(begins, step, self._first_step[slot])

    def load(self, steps: Tensor, traj_id: Tensor) -> None:
        """Notes all of `steps` [R] and their trajectories [R, N] anew."""
        slot = rearrange(traj_id.long() % self._first_step.shape[1], "row env -> env row")
        steps = repeat(steps.to(slot.device), "row -> env row", env=len(slot))
        self._first_step.scatter_reduce_(1, slot, steps, "amin", include_self=False)

    def draw(
        self, num: int, env: Tensor, traj_id: Tensor, end: Tensor, oldest: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draws `num` steps [num, B] uniformly from each of the trajectories `traj_id` [B] of environments `env` [B].

        They lie before the step `end` [B], and not before the scalar `oldest`: what came earlier was overwritten.
        """
        first = torch.maximum(self._first_step[env, traj_id % self._first_step.shape[1]], oldest)
        u = torch.rand(num, len(env), generator=generator, device=env.device, dtype=torch.float64)
        return first + (u * (end - first)).long()
