"""Perfect mazes: one way between any two cells, the same for a seed everywhere, and what refuses them."""

from __future__ import annotations

import gymnasium
import pytest
import torch

from deepcrl.envs import make_task
from deepcrl.envs.scenes.mazes import parse_layout
from deepcrl.envs.scenes.perfect import perfect_layout
from deepcrl.envs.tasks.point_maze import PointMaze

MAZES = [(5, 0), (5, 7), (7, 1), (21, 0), (21, 3), (51, 2**63 - 1), (101, 0)]
PINNED = "#########/#CCC#CCC#/###C###C#/#C#CCC#C#/#C###C#C#/#CCC#CCC#/#C#C###C#/#C#CCCCC#/#########"


@pytest.mark.parametrize(("size", "seed"), MAZES)
def test_one_way_leads_between_any_two_cells(size: int, seed: int) -> None:
    """A connected graph with one edge less than vertices is a tree."""
    maze = parse_layout(f"perfect_{size}", 1.0, seed=seed)
    free = set(maze.free())
    edges = sum(((r + 1, c) in free) + ((r, c + 1) in free) for r, c in free)
    assert set(maze.distances((1, 1))) == free
    assert edges == len(free) - 1
    rooms = {(r, c) for r in range(1, size, 2) for c in range(1, size, 2)}
    assert rooms <= free
    assert len(free) == 2 * len(rooms) - 1
    assert (len(maze.rows), {len(row) for row in maze.rows}) == (size, {size})


def test_every_free_cell_is_a_start_and_a_goal() -> None:
    maze = parse_layout("perfect_7", 1.0, seed=0)
    assert maze.cells("R") == maze.cells("G") == maze.free()
    task = PointMaze(layout="perfect_7", layout_seed=0, cell_size=1.0, reset_noise=0.0)
    start = task.sample_start(1000, torch.Generator().manual_seed(0))
    for places in (start.qpos, start.goal):
        assert {(int(x), int(y)) for x, y in places.tolist()} == set(maze.free())


def test_a_seed_draws_one_maze_and_another_seed_another() -> None:
    drawn = [perfect_layout(21, seed) for seed in range(20)]
    assert drawn == [perfect_layout(21, seed) for seed in range(20)]
    assert len(set(drawn)) == 20


def test_a_pinned_maze() -> None:
    """Seeds name mazes in papers and in data on disk: they must not change with a version or a machine."""
    assert perfect_layout(9, 3) == PINNED


@pytest.mark.parametrize("env", ["point_maze", "ant_maze", "humanoid_maze"])
def test_tasks_draw_their_maze_from_layout_seed(env: str) -> None:
    rows = [make_task({"name": env, "layout": "perfect_9", "layout_seed": seed}).maze.rows for seed in (0, 3)]  # pyright: ignore[reportAttributeAccessIssue]
    assert rows == [tuple(perfect_layout(9, seed).split("/")) for seed in (0, 3)]


def test_gymnasium_makes_and_steps_one() -> None:
    env = gymnasium.make("deepcrl/PointMaze-v0", layout="perfect_9", layout_seed=3)
    assert env.unwrapped.task.maze.rows == tuple(PINNED.split("/"))  # pyright: ignore[reportAttributeAccessIssue]
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    observation, *_ = env.step(env.action_space.sample())
    assert observation in env.observation_space


def test_a_step_in_the_env(make) -> None:
    envs = make("point_maze", task={"layout": "perfect_21", "layout_seed": 3})
    envs.reset()
    assert envs.step(torch.ones(5, 2)).next_state.isfinite().all()


@pytest.mark.parametrize(
    ("layout", "seed", "message"),
    [
        (
            "perfect_20",
            0,
            "the size of a perfect maze is odd, from 5 to 101; the nearest is perfect_21",
        ),
        ("perfect_3", 0, "from 5 to 101; the nearest is perfect_5"),
        ("perfect_102", 0, "the nearest is perfect_101"),
        ("perfect_999999999", 0, "the nearest is perfect_101"),
        ("perfect_" + "9" * 5000, 0, "Unknown layout 'perfect_999"),
        ("perfect_021", 0, "Unknown layout 'perfect_021'. Did you mean 'perfect_SIZE'"),
        ("perfect", 0, "Did you mean 'perfect_SIZE'"),
        ("perfect_21", -1, "layout_seed must be at least 0, got -1"),
        ("u_maze", 3, "layout_seed=3 has no effect: layout=u_maze is not drawn; "),
        ("#####/#RG.#/#####", 3, "layout_seed=3 has no effect: layout=#####/#RG.#/##### is not drawn; "),
    ],
)
def test_what_cannot_be_drawn(layout: str, seed: int, message: str) -> None:
    with pytest.raises(ValueError, match="^") as error:
        PointMaze(layout=layout, layout_seed=seed)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_ball_has_no_place_in_one() -> None:
    with pytest.raises(ValueError, match="Unknown layout 'perfect_21'"):
        make_task({"name": "ant_ball_maze", "layout": "perfect_21"})
