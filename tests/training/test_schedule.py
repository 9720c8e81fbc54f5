"""What a run is counted in, from its settings and from what it logged."""

from __future__ import annotations

import pytest

from deepcrl.training.schedule import Schedule, counter_of


@pytest.mark.parametrize(("offline", "counter"), [(False, "env_steps"), (True, "grad_steps")])
def test_a_run_is_counted_in_the_steps_that_it_takes(tiny, offline: bool, counter: str) -> None:
    schedule = Schedule.of(tiny(buffer={"name": "dataset"}, total_grad_steps=40) if offline else tiny())
    assert (schedule.offline, schedule.counter) == (offline, counter)
    assert schedule.steps(0, 7) == (7 if offline else 0)
    assert schedule.total_steps == getattr(schedule, f"total_{counter}")
    assert schedule.steps_per_unroll == getattr(schedule, f"{counter}_per_unroll")


def test_logged_rows_tell_the_same() -> None:
    untrained = {"env_steps": 0, "grad_steps": 0}
    assert counter_of([untrained, {"env_steps": 20, "grad_steps": 0}]) == "env_steps"
    assert counter_of([untrained, {"env_steps": 0, "grad_steps": 4}]) == "grad_steps"
