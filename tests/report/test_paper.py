from __future__ import annotations

import numpy as np
import pytest

from deepcrl.report.paper import paper_task, source

TASKS = (
    *("humanoid", "ant_big_maze_eval", "ant_u4_maze_eval", "ant_u5_maze_eval", "ant_hardest_maze", "arm_push_easy"),
    *("arm_push_hard", "arm_binpick_hard", "humanoid_u_maze", "humanoid_big_maze"),
)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_scores_and_curves_that_end_there(name: str) -> None:
    task = paper_task(name)
    assert task is not None
    assert task.env_steps in (100_000_000, 200_000_000, 400_000_000)
    assert list(task.scores) == list(task.curves) == [4, 8, 16, 32, 64]
    for depth, (score, error) in task.scores.items():
        steps, curve = task.curves[depth]
        assert steps[-1] == task.env_steps
        assert (np.diff(steps) > 0).all()
        # the curve's last point is the mean of three epochs, the score that of five
        assert abs(curve[-1] - score) < max(2.5 * error, 0.1)


def test_a_table_1_score_and_the_score_on_the_way() -> None:
    task = paper_task("humanoid")
    assert task is not None
    assert task.scores[64] == (649, 27)
    assert task.at(64, 100e6) == 672
    assert task.at(4, 7.5e6) == pytest.approx(1.65)
    assert task.at(4, 1e6) is None, "nothing is reported before a twentieth of the budget"


def test_other_goals_are_another_task() -> None:
    assert paper_task("ant_big_maze") is None, "the paper scores far goals only"
    assert paper_task("point_u_maze") is None
    assert "NeurIPS 2025" in source()
