"""AC-CRL (Korniak et al. 2026, arXiv 2608.30640): several actions for one, planned at once and carried out unseen.

A chunk of H actions tells more of the goal it leads to than one action does. It is flattened: [H A] numbers, the first
action's first.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from deepcrl.core.checks import at_least, at_most, one_of
from deepcrl.core.states import check_finite, check_range, check_tensor
from deepcrl.core.types import Batch, FutureBatch

CHUNK_ENDS = ("mask", "zero_pad")
"""What `agent.chunk_ends` may be."""
MAX_CHUNK = 1000


class Chunks:
    """The chunks of H actions in a batch, and which of them count. With H = 1 they are the actions.

    A chunk that would go beyond its trajectory's end has zeros there. Its row is no positive of the critic with `mask`,
    but stays among the negatives and in the actor's batch (as in ChronoSRL's version); with `zero_pad` it is a row like
    any other (as in the authors' code).
    """

    def __init__(self, length: int, ends: str) -> None:
        """Raises ValueError for a value out of range."""
        at_least("agent.chunk", length, 1)
        at_most("agent.chunk", length, MAX_CHUNK)
        one_of("agent.chunk_ends", ends, CHUNK_ENDS)
        self.length, self.masks = length, ends == "mask" and length > 1

    def of(self, batch: Batch) -> Tensor:
        """Returns the batch's chunks [B, H A]."""
        if self.length == 1:
            return batch.action
        assert isinstance(batch, FutureBatch)
        later = batch.next_actions[:, : self.length - 1]  # learners beside this agent may have asked for more
        return torch.cat([batch.action, rearrange(later, "b h a -> b (h a)")], dim=1)

    def row_weight(self, batch: Batch) -> Tensor | None:
        """Returns 1 for rows [B] that count and 0 for others; None if all count."""
        if not self.masks:
            return None
        assert isinstance(batch, FutureBatch)
        return (batch.steps_left >= self.length - 1).float()


class Plan:
    """The chunks [N, H, A] that N environments carry out, and how many of their actions were taken [N].

    An environment begins a new one when the last is used up, and at the first step of an episode or an unroll.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._chunks, self._taken = torch.zeros(0, length, 0), torch.zeros(0, dtype=torch.int64)

    def next_action(self, chunks: Tensor, first: Tensor | None) -> Tensor:
        """Returns the next actions [N, A], of `chunks` [N, H A] where a new chunk begins; `first` is Observation's."""
        if self._length == 1:
            return chunks
        chunks = rearrange(chunks, "n (h a) -> n h a", h=self._length)
        if first is None or chunks.shape != self._chunks.shape:
            self._chunks, self._taken = chunks, torch.zeros_like(chunks[:, 0, 0], dtype=torch.int64)
        else:
            begins = first | (self._taken == self._length)
            self._chunks = torch.where(begins[:, None, None], chunks, self._chunks)
            self._taken = torch.where(begins, 0, self._taken)
        rows = torch.arange(len(chunks), device=chunks.device)
        action = self._chunks[rows, self._taken]
        self._taken = self._taken + 1
        return action

    def state_dict(self) -> dict[str, Tensor]:
        """Returns what an unroll that was interrupted goes on with."""
        return {"chunks": self._chunks, "taken": self._taken}

    def load_state_dict(self, state: dict[str, Tensor], action_dim: int) -> None:
        """Goes on from a state; ValueError if it is none of a plan like this."""
        chunks, taken = state["chunks"], state["taken"]
        check_tensor("plan/taken", taken, torch.zeros(len(taken), dtype=torch.int64))
        check_range("plan/taken", taken, 0, self._length)
        check_finite("plan/chunks", chunks, torch.zeros(len(taken), self._length, action_dim if len(taken) else 0))
        self._chunks, self._taken = chunks, taken
