"""Counters and averages of a run."""

from __future__ import annotations

import pytest
import torch

from deepcrl.training import progress as module
from deepcrl.training.progress import Progress

CPU = torch.device("cpu")


def test_a_row_averages_the_gradient_steps() -> None:
    progress = Progress(env_steps=20, grad_steps=2, row={"train/distance": 3.0})
    for value in (1.0, 4.0):
        progress.add({"critic/loss": torch.tensor(value), "actor/loss": torch.tensor(-value)})
    row = progress.take_row()
    assert row.pop("wall_seconds") >= 0
    expected = {"env_steps": 20, "grad_steps": 2, "train/distance": 3.0, "critic/loss": 2.5, "actor/loss": -2.5}
    assert row == expected


def test_a_row_is_taken_once() -> None:
    progress = Progress(row={"train/distance": 3.0})
    progress.add({"critic/loss": torch.tensor(1.0)})
    progress.take_row()
    assert progress.take_row().keys() == {"env_steps", "grad_steps", "wall_seconds"}
    progress.add({"critic/loss": torch.tensor(5.0)})
    assert progress.take_row()["critic/loss"] == 5.0


def test_sums_keep_small_parts_of_large_numbers() -> None:
    progress = Progress()
    for value in (1e8, 1.0, 1.0):
        progress.add({"x": torch.tensor(value)})
    assert progress.take_row()["x"] == pytest.approx((1e8 + 2) / 3, abs=1e-6, rel=0)


def test_state_goes_on_in_the_middle_of_an_iteration() -> None:
    progress = Progress(env_steps=40, unrolls=2, grad_steps=1, pending_grad_steps=3, row={"train/distance": 2.0})
    progress.add({"critic/loss": torch.tensor(1.0)})
    other = Progress()
    other.load_state_dict(progress.state_dict(), CPU)
    other.add({"critic/loss": torch.tensor(3.0)})
    assert (other.unrolls, other.pending_grad_steps) == (2, 3)
    row = other.take_row()
    assert (row["env_steps"], row["train/distance"], row["critic/loss"]) == (40, 2.0, 2.0)


def test_a_row_is_begun_until_it_is_taken() -> None:
    progress = Progress(row_begun=True)  # with nothing measured yet
    state = progress.state_dict()
    progress.take_row()
    assert not progress.row_begun
    progress.load_state_dict(state, CPU)
    assert progress.row_begun


@pytest.mark.parametrize("row", [{}, {"time/learn_seconds": 1.0}])
def test_a_state_from_before_that_was_saved_tells_by_its_row(row: dict[str, float]) -> None:
    state = Progress(row=row).state_dict()
    del state["row_begun"]
    progress = Progress(row_begun=not row)
    progress.load_state_dict(state, CPU)
    assert progress.row_begun == bool(row)


def test_a_saved_state_does_not_change_afterwards() -> None:
    progress = Progress(row={"a": 1.0})
    state = progress.state_dict()
    progress.take_row()
    assert state["row"] == {"a": 1.0}


def test_time_counts_earlier_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    first = Progress()
    now = 107.0
    assert first.elapsed == 7
    state = first.state_dict()
    now = 1000.0
    second = Progress()
    second.load_state_dict(state, CPU)
    now = 1002.0
    assert second.elapsed == 9


def test_metrics_are_added_by_name_whatever_their_order() -> None:
    progress = Progress()
    progress.add({"a": torch.tensor(1.0), "b": torch.tensor(10.0)})
    again = Progress()
    state = progress.state_dict()
    again.load_state_dict(state | {"sums": dict(reversed(state["sums"].items()))}, CPU)
    again.add({"a": torch.tensor(3.0), "b": torch.tensor(30.0)})
    assert again.means() == {"a": 2.0, "b": 20.0}


def test_metrics_of_other_names_in_one_iteration_are_refused() -> None:
    progress = Progress()
    progress.add({"a": torch.tensor(1.0), "b": torch.tensor(10.0)})
    with pytest.raises(ValueError, match="metrics differ between the gradient steps of an iteration: b, c"):
        progress.add({"a": torch.tensor(1.0), "c": torch.tensor(10.0)})
