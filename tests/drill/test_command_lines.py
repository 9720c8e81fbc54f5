"""Some of the command lines; `python -m tests.drill.command_lines` tries all of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.cli.conftest import deepcrl  # noqa: F401 - a fixture
from tests.drill.command_lines import complaint, lines
from tests.drill.command_mistakes import KINDS, Line
from tests.drill.forks import Answer
from tests.drill.slips import slip


@pytest.mark.parametrize("seed", [0, 1])
def test_a_line_is_answered(deepcrl, seed: int, tmp_path: Path) -> None:  # noqa: F811
    """In this process, where the drill's folder is not needed: a verb's name, and a setting's."""
    line = [line for line in lines(seed, 40) if line.kind in ("setting_misspelt", "verb_misspelt")][seed]
    result = deepcrl(*line.words)
    answer = Answer(result.code, result.out, result.err, 0, 0)
    assert complaint(line, answer, {}, {path.name: (0, 0) for path in tmp_path.iterdir()}) == ""


def test_the_seed_says_which() -> None:
    assert lines(3, 60) == lines(3, 60)
    assert lines(3, 60) != lines(4, 60)
    assert {line.kind for line in lines(0, 400)} == {*KINDS, "right"}


def test_a_complaint_is_noticed() -> None:
    line, good = Line("kind", ("train", "sed=3"), "Unknown setting 'sed'"), "deepcrl: Unknown setting 'sed'. Known: x\n"
    answers = [
        (Answer(2, "", good, 0, 0), {}, ""),
        (Answer(2, "", f"deepcrl: seed is given 2 times; seed=3 counts\n{good}", 0, 0), {}, ""),
        (Answer(None, "", good, 0, 0), {}, "hangs"),
        (Answer(1, "", "Traceback (most recent call last)", 0, 0), {}, "a traceback"),
        (Answer(1, "", good, 0, 0), {}, "status 1"),
        (Answer(2, "", good + good, 0, 0), {}, "2 lines"),
        (Answer(2, "", "deepcrl: Unknown setting 'x'\n", 0, 0), {}, "expected Unknown setting 'sed'"),
        (Answer(2, "", good[:-1] + "x" * 4000, 0, 0), {}, "a line of 4,040 characters"),
        (Answer(2, "", good, 0, 0), {"new": (1, 1)}, "left ['new']"),
        (Answer(2, "", good, 99, 0), {}, "99.0 seconds"),
        (Answer(2, "", good, 0, 9999), {}, "9999 MiB"),
    ]
    assert [complaint(line, answer, {}, after) for answer, after, _ in answers] == [what for *_, what in answers]
    right = Line("right", ("train",), "", makes=("new",))
    assert complaint(right, Answer(0, "", "", 0, 0), {}, {}) == "did not make ['new']"
    assert complaint(right, Answer(2, "", good, 0, 0), {}, {"new": (1, 1)}) == "status 2"
    assert complaint(right, Answer(0, "", "", 0, 0), {}, {"new": (1, 1)}) == ""


def test_a_slip_is_no_other_good_name() -> None:
    known = ["cat", "cut", "cot", "ct"]
    assert not {slip(Random(seed), "cat", known) for seed in range(200)} & {*known}
