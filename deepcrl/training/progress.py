"""Where a run stands: its counters, and the metrics gathered since the last row."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from deepcrl.core.states import check_count, check_flag, check_numbers, check_scalars, check_tensor

COUNTS = ("env_steps", "grad_steps", "unrolls", "pending_grad_steps", "num_summed")


@dataclass
class Progress:
    """Counters of a run. `pending_grad_steps` are those still to be taken for the last unroll."""

    env_steps: int = 0
    grad_steps: int = 0
    unrolls: int = 0
    pending_grad_steps: int = 0
    started: bool = False
    """Whether the untrained policy's row is written; a run may be stopped right after it, before the first unroll."""
    wall_seconds: float = 0.0
    """Before this process started; `elapsed` is the whole."""
    row_begun: bool = False
    """Whether an iteration has begun and its row is not written yet."""
    unroll_step: int = 0
    """Steps already taken of an unroll that a signal cut short."""
    unroll_sums: Tensor | None = None
    """What that unroll has measured so far; None between unrolls."""
    row: dict[str, float] = field(default_factory=dict)
    """The metrics of this iteration that are known already."""
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Sums of the gradient steps' metrics in this iteration, still on the device."""
    num_summed: int = 0

    def __post_init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken, earlier processes included."""
        return self.wall_seconds + time.perf_counter() - self._started

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Adds one gradient step's 0-dim metrics to the sums, each to that of its name, without waiting for the device.

        Raises ValueError for metrics of other names than those of the steps before in this iteration.
        """
        if not self.sums:
            self.sums = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in metrics.items()}
        if self.sums.keys() != metrics.keys():
            changed = ", ".join(sorted(self.sums.keys() ^ metrics.keys()))
            raise ValueError(f"metrics differ between the gradient steps of an iteration: {changed}")
        torch._foreach_add_(list(self.sums.values()), [metrics[name].double() for name in self.sums])  # pyright: ignore[reportPrivateImportUsage]
        self.num_summed += 1

    def take_row(self) -> dict[str, float]:
        """Returns `whole_row` and starts the next iteration."""
        row = self.whole_row()
        self.row_begun, self.row, self.sums, self.num_summed = False, {}, {}, 0
        return row

    def whole_row(self) -> dict[str, float]:
        """Returns the iteration's metrics, the gradient steps' averaged, in one transfer."""
        counters = {"env_steps": self.env_steps, "grad_steps": self.grad_steps, "wall_seconds": round(self.elapsed, 3)}
        return counters | self.row | self.means()

    def means(self) -> dict[str, float]:
        """Returns the averages of the gradient steps' metrics in this iteration so far, in one transfer."""
        if not self.sums:
            return {}
        values = (torch.stack(list(self.sums.values())) / self.num_summed).tolist()
        return dict(zip(self.sums, values, strict=True))

    def state_dict(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in (*COUNTS, "started", "row_begun", "unroll_step", "unroll_sums")}
        return state | {"wall_seconds": self.elapsed, "row": dict(self.row), "sums": dict(self.sums)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Takes over a saved state; ValueError for what is none.

        One from before `row_begun` was saved has a row exactly if it was begun; one from before
        `unroll_step` was saved stands between two unrolls.
        """
        for name in COUNTS:
            check_count(name, state[name])
            setattr(self, name, state[name])
        check_numbers("row", state["row"])
        check_scalars("sums", state["sums"])
        check_numbers("progress", {"wall_seconds": state["wall_seconds"]})
        self.started, self.row_begun = state["started"], state.get("row_begun", bool(state["row"]))
        check_flag("started", self.started)
        check_flag("row_begun", self.row_begun)
        self.unroll_step, self.unroll_sums = state.get("unroll_step", 0), state.get("unroll_sums")
        check_count("unroll_step", self.unroll_step)
        if self.unroll_sums is not None:
            check_tensor("unroll_sums", self.unroll_sums, torch.zeros(3))
        self.wall_seconds, self.row = state["wall_seconds"], dict(state["row"])
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self._started = time.perf_counter()
