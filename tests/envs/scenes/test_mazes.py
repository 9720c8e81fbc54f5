"""Layouts: parsing, walls, cells and errors."""

from __future__ import annotations

import pytest
import torch

from deepcrl.envs.scenes.mazes import ANT_LAYOUTS, LAYOUTS, corridor_pairs, maze_arena, parse_layout, sample_cells

GOALS = {
    **{"u_maze": 6, "u_maze_eval": 3, "u_maze_single_eval": 1, "u_maze_eval_5f6f": 2},
    **{"u_maze_eval_1f2f3f": 3, "u_maze_eval_1f2f3f4f": 4, "u_maze_eval_1f2f3f4f5f": 5},
    **{"u2_maze": 8, "u2_maze_eval": 4, "u3_maze": 10, "u3_maze_eval": 5, "u3_maze_single_eval": 1},
    **{"u4_maze": 10, "u4_maze_eval": 4, "u5_maze": 16, "u5_maze_eval": 8, "u5_maze_single_eval": 1},
    **{"u6_maze": 14, "u6_maze_eval": 7, "u7_maze": 12, "u7_maze_eval": 6},
    **{"big_maze": 25, "big_maze_eval": 10, "hardest_maze": 45, "hardest_maze_eval": 13},
    **{"pit_maze": 21, "pit_maze_eval": 6},
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_layouts_have_the_published_goal_counts(name):
    maze = parse_layout(name, 4.0)
    assert len(maze.centres("R")) == 1
    assert len(maze.centres("G")) == GOALS[name]
    first_row = 2.0 if name[:2] in ("u4", "u5", "u6", "u7") else 1.0
    assert maze.centres("R").tolist() == [[4.0 * first_row, 4.0]]


def test_ants_have_one_layout_of_their_own():
    """The source's ant file has nine goals there, its humanoid and point files have ten."""
    assert {name for name in LAYOUTS if ANT_LAYOUTS[name] != LAYOUTS[name]} == {"big_maze_eval"}
    ants, others = (set(parse_layout("big_maze_eval", 4.0, known).cells("G")) for known in (ANT_LAYOUTS, LAYOUTS))
    assert len(ants) == 9
    assert others - ants == {(2, 5)}


def test_the_wall_of_the_u4_maze_has_goals_below_and_on_one_side():
    assert parse_layout("u4_maze_eval", 4.0).cells("G") == [(4, 1), (5, 1), (5, 2), (5, 3)]


def test_a_cell_can_be_a_start_and_a_goal():
    maze = parse_layout("######/#RC.G#/######", 4.0)
    assert maze.cells("R") == [(1, 1), (1, 2)]
    assert maze.cells("G") == [(1, 2), (1, 4)]
    assert maze.free() == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert parse_layout("####/#C.#/####", 4.0).cells("R") == [(1, 1)]


def test_hard_evaluation_goals_are_the_far_cells():
    maze = parse_layout("hardest_maze_eval", 1.0)
    distance = maze.distances((1, 1))
    assert sorted(maze.cells("G")) == sorted(cell for cell, steps in distance.items() if steps >= 13)


@pytest.mark.parametrize(
    ("name", "cells"), [("u_maze", 7), ("u2_maze", 9), ("u3_maze", 11), ("u4_maze", 11), ("u5_maze", 17)]
)
def test_corridors_have_the_published_lengths(name, cells):
    maze = parse_layout(name, 4.0)
    for steps, (starts, goals) in zip((1, cells - 1), corridor_pairs(maze, (1, cells - 1)), strict=True):
        assert starts.shape == goals.shape == (cells - steps, 2)
    ((starts, goals),) = corridor_pairs(maze, (1,))
    assert torch.equal((goals - starts).abs().sum(dim=1), torch.full((cells - 1,), 4.0).double())
    assert torch.equal(starts[1:], goals[:-1])
    assert starts[0].tolist() == maze.centres("R")[0].tolist()


@pytest.mark.parametrize(
    ("layout", "steps", "message"),
    [
        ("u_maze", (1, 7), "goal_steps must be within 1 and 6, the length of the corridor, got 7"),
        ("u_maze", (0,), "got 0"),
        ("big_maze", (1,), "one corridor"),
        ("######/#.RG.#/######", (1,), "one corridor"),
        ("#######/#RG#..#/#######", (1,), "one corridor"),
    ],
)
def test_goals_that_no_corridor_has(layout, steps, message):
    with pytest.raises(ValueError, match=message):
        corridor_pairs(parse_layout(layout, 4.0), steps)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_walls_cover_each_wall_cell_once_and_nothing_else(name):
    maze = parse_layout(name, 3.0)
    boxes = maze.walls()
    for r, row in enumerate(maze.rows):
        for c, cell in enumerate(row):
            inside = [abs(3 * r - x) < half_x and abs(3 * c - y) < half_y for x, y, half_x, half_y in boxes]
            assert sum(inside) == (cell == "#")
    area = sum(4 * half_x * half_y for _, _, half_x, half_y in boxes)
    assert area == 9 * "".join(maze.rows).count("#")


def test_rows_are_x_and_columns_are_y():
    maze = parse_layout("#####/#R..#/#..G#/#####", 2.0)
    assert maze.centres("R").tolist() == [[2.0, 2.0]]
    assert maze.centres("G").tolist() == [[4.0, 6.0]]


def test_slashes_and_lines_are_the_same():
    lines = """
        #####
        #R.G#
        #####
    """
    assert parse_layout(lines, 4.0) == parse_layout("#####/#R.G#/#####", 4.0)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("big_mase", "Unknown layout 'big_mase'. Did you mean 'big_maze'"),
        ("", "Unknown layout ''"),
        ("####/#R.#/####", "no goal cell, G"),
        ("####/#G.#/####", "no start cell, R"),
        ("####/#RG#/###", "row 2 '###' has 3 cells, but row 0 has 4"),
        ("####/#RX#/#GG#/####", "row 1 '#RX#' has 'X'; cells are one of #, R, G, C, B, P, ."),
        ("####/#RG./####", "open"),
        ("#G##/#R.#/####", "open"),
        ("######/#R#G.#/######", r"goal cell \(row, column\) \(1, 3\) cannot be reached from its start cell \(1, 1\)"),
        ("######/#C#C.#/######", r"goal cell \(row, column\) \(1, 3\) cannot be reached from its start cell \(1, 1\)"),
        ("#######/#RG#BG#/#######", r"goal cell \(row, column\) \(1, 5\) cannot be reached from its start cell"),
        ("#######/#RG#B.#/#######", r"goal cell \(row, column\) \(1, 2\) cannot be reached from its ball cell"),
    ],
)
def test_malformed_layouts(layout, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_layout(layout, 4.0)
    assert "\n" not in str(error.value)


def test_no_way_leads_over_a_pit():
    assert parse_layout("pit_maze", 4.0).distances((1, 1))[1, 7] == 8
    with pytest.raises(ValueError, match=r"goal cell \(row, column\) \(1, 3\) cannot be reached from its start cell"):
        parse_layout("#####/#RPG#/#####", 4.0)
    with pytest.raises(ValueError, match="one corridor"):
        corridor_pairs(parse_layout("#######/#RGGPG#/##GGGG#/#######", 4.0), (1,))


def test_a_pit_begins_at_its_cells_edge_and_has_no_contacts():
    maze = parse_layout("######/#RPPG#/#GGGG#/######", 2.0)
    y = torch.tensor([2.9, 3.1, 5.0, 6.9, 7.1])
    fallen = maze.in_pit(torch.stack((torch.full_like(y, 2.0), y), dim=1))
    assert fallen.tolist() == [False, True, True, True, False]
    assert not maze.in_pit(torch.tensor([[4.0, 4.0]])).any()
    assert not parse_layout("u_maze", 4.0).in_pit(torch.tensor([[8.0, 4.0]])).any()
    model = maze_arena(maze, wall_height=1.0).compile()
    pits = [model.geom(g) for g in range(model.ngeom) if model.geom(g).name.startswith("pit")]
    assert [pit.pos[:2].tolist() for pit in pits] == [[2.0, 4.0], [2.0, 6.0]]
    assert all(pit.contype == pit.conaffinity == 0 for pit in pits)


def test_walls_stand_on_the_floor():
    model = maze_arena(parse_layout("u_maze", 4.0), wall_height=3.0).compile()
    walls = [model.geom(g) for g in range(model.ngeom) if model.geom(g).name.startswith("wall")]
    assert walls
    for wall in walls:
        assert wall.pos[2] == wall.size[2] == 1.5


def test_pick_is_uniform_over_rows():
    cells = torch.tensor([[0.0, 1.0], [2.0, 3.0]], dtype=torch.float64)
    drawn = sample_cells(cells, 1000, torch.Generator().manual_seed(0))
    assert drawn.shape == (1000, 2)
    assert 400 < int((drawn[:, 0] == 0).sum()) < 600
