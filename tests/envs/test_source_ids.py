"""Ids of scaling-crl and JaxGCRL: each makes a task here, and the documented table is that of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task, source_ids
from deepcrl.envs.tasks.ant import AntMaze
from deepcrl.envs.tasks.arm_grasp import ArmGrasp
from deepcrl.envs.tasks.point_maze import PointMaze

discover()
OLD = [old for row in source_ids.TABLE for old in row.old]


@pytest.mark.parametrize("old", OLD)
def test_an_old_id_makes_a_task(old: str) -> None:
    assert source_ids.translate(old)["name"] in ENVS
    assert make_task({"name": old}).spec.goal_dim > 0


def test_no_id_is_in_two_rows_and_no_old_id_hides_a_new_one() -> None:
    assert len(set(OLD)) == len(OLD)
    assert not source_ids.RENAMED.keys() & set(ENVS)
    for row in source_ids.TABLE:
        assert len(row.new) in (0, len(row.old))


def test_hyperparameters_of_an_old_id_go_with_the_new_one() -> None:
    task = make_task({"name": "simple_big_maze", "cell_size": 2.0})
    assert isinstance(task, PointMaze)
    assert task.maze.cell_size == 2.0


@pytest.mark.parametrize(
    ("old", "name", "goal_steps"),
    [
        ("ant_u4_maze_gen_1f2f", "ant_u4_maze", [1, 2]),
        ("ant_u5_maze_gen_10f", "ant_u5_maze", [10]),
        ("ant_u_maze_gen_6f2f", "ant_u_maze", [6, 2]),
    ],
)
def test_any_distances_of_the_stitching_mazes(old: str, name: str, goal_steps: list[int]) -> None:
    assert source_ids.translate(old) == {"name": name, "goal_steps": goal_steps}
    task, other = make_task({"name": old}), make_task({"name": name, "goal_steps": goal_steps})
    assert isinstance(task, AntMaze)
    assert isinstance(other, AntMaze)
    assert task.goal_steps == other.goal_steps == goal_steps


@pytest.mark.parametrize(("old", "noise"), [("arm_grasp_0.1", 0.1), ("arm_grasp_0", 0.0)])
def test_the_noise_of_the_grasp(old: str, noise: float) -> None:
    task: Any = make_task({"name": old})
    assert isinstance(task, ArmGrasp)
    assert task.cube_noise == noise


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("ant_u_maze_gen_9f", "goal_steps must be within 1 and 6, the length of the corridor, got 9"),
        ("ant_u_maze_gen_0f", "goal_steps must be within 1 and 6, the length of the corridor, got 0"),
        ("ant_big_maze_gen_1f", "goal_steps needs a layout that is one corridor"),
        ("ant_u_maze_gen_1f2", "Unknown env 'ant_u_maze_gen_1f2'. Did you mean 'ant_u_maze_gen_1f2f3f'"),
        ("ant_u8_maze_gen_1f", "Unknown env 'ant_u8_maze'. Did you mean "),
        ("arm_grasp_x", "Unknown env 'arm_grasp_x'. Did you mean 'arm_grasp'"),
        ("cheeta", "Unknown env 'cheeta'"),
    ],
)
def test_what_no_id_means_is_one_line(old: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make_task({"name": old})
    assert "\n" not in str(error.value)


def test_the_documented_table_is_current() -> None:
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
    assert source_ids.markdown() in page, "put in what deepcrl.envs.source_ids.markdown() returns"
