"""The committed reference of states, goals and actions is what the tasks say."""

from __future__ import annotations

from pathlib import Path

from deepcrl.envs.reference import markdown

COMMITTED = Path(__file__).parents[2] / "docs" / "environments_reference.md"


def test_the_committed_reference_is_current():
    assert COMMITTED.read_text() == markdown(), "run: python -m deepcrl.envs.reference > docs/environments_reference.md"


def test_every_index_of_a_state_is_a_row():
    section = markdown().split("## ant_push\n")[1].split("\n## ")[0]
    assert "| 30 | object y (m) |" in section
    assert "\nDistance to the goal below: success 0.5, easy 2.0.\n" in section
    assert "| 0 | torso x (m) |\n| 1 | torso y (m) |\n\n| action | entry |" in section
