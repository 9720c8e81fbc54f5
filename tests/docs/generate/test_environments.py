"""The committed reference of states, goals and actions is what the tasks say."""

from __future__ import annotations

import functools
from pathlib import Path

from docs.generate import environments

COMMITTED = Path(__file__).parents[3] / "docs" / "environments_reference.md"
markdown = functools.cache(environments.markdown)


def test_the_committed_reference_is_current():
    assert COMMITTED.read_text() == markdown(), (
        "run: python -m docs.generate.environments > docs/environments_reference.md"
    )


def test_every_index_of_a_state_is_a_row():
    section = markdown().split("## ant_push\n")[1].split("\n## ")[0]
    assert "| 30 | object y (m) |" in section
    assert "| 0 | torso x (m) |\n| 1 | torso y (m) |\n\n| action | entry |" in section


def test_every_task_has_a_row_with_its_thresholds_and_goals():
    rows = markdown().split("\n## ")[0].splitlines()
    assert "| `ant_push` | [ant_push](#ant_push) | 0.5, 2, - | (8, 8) and (18, 18) | none |" in rows
    assert "| `humanoid_u_maze` | [humanoid](#humanoid) | 0.5, 2, - | (2, 2, 1.25) and (6, 6, 1.25) | none |" in rows
    assert "| `reacher` | [reacher](#reacher) | 0.05, -, - | (-0.2, -0.2, 0.01) and (0.2, 0.2, 0.01) | 1.0% |" in rows


def test_tasks_whose_episodes_may_begin_at_their_goal_say_so():
    rows = [row for row in markdown().split("\n## ")[0].splitlines() if row.endswith("% |")]
    assert {row.split("`")[1] for row in rows} == {"arm_push_easy", "arm_push_hard", "arm_reach", "reacher"}
