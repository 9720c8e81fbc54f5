"""Some of the faulty plugins; `python -m tests.drill.faulty_plugins` tries all of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.drill.faulty_plugins import WRONG, answer, complaint, fault_of, faults


@pytest.mark.parametrize("row", [0, 25, 43])
def test_a_wrong_answer_is_one_line(tmp_path: Path, row: int) -> None:
    what, body, message = WRONG[row]
    fault = fault_of(random.Random(row), "mine", what, body, message, "None")
    err, file = answer(fault, "mine", tmp_path)
    assert complaint(fault, "mine", err, file) == "", err


def test_an_error_shows_the_frames_of_the_plugin_only(tmp_path: Path) -> None:
    message = ": AttributeError: '(Fake)?Tensor' object has no attribute 'nonsense'"
    fault = fault_of(random.Random(0), "mine", "pairwise", "return helper(sa)", message, "x.nonsense")
    err, file = answer(fault, "mine", tmp_path)
    assert complaint(fault, "mine", err, file) == "", err
    assert err.count("  File ") == 2


def test_the_seed_says_which() -> None:
    assert faults(3, 20) == faults(3, 20)
    assert faults(3, 20) != faults(4, 20)
    assert {fault.kind for fault in faults(0, 70)} == {"loss", "energy", "encoder", "relabel", "agent"}


def test_a_complaint_is_noticed(tmp_path: Path) -> None:
    fault = faults(0, 3)[2]
    assert complaint(fault, "mine", "Traceback (most recent call last):\n", tmp_path / "mine.py").startswith(
        "expected "
    )
