"""Mazes as ASCII layouts, and what a scene needs of them: walls, start cells and goal cells.

`#` wall, `R` start, `G` goal, `C` both, `B` ball, `P` pit, `.` free. Row r and column c of the layout are centred on
x = r * cell_size and y = c * cell_size, as in scaling-crl and JaxGCRL. A robot whose torso is above a pit has fallen.
Layouts from scaling-crl; its `big_maze_eval` has ten goals for humanoids, and nine for ants (`ANT_LAYOUTS`). Ours are
`hardest_maze_eval`, whose goals are the cells at least 13 steps from the start, and `pit_maze`, whose short way leads
between pits. `perfect_SIZE` is drawn by seed: `deepcrl.envs.scenes.perfect`.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above, shown, suggest
from deepcrl.envs.scenes.arena import add_overview, add_pits, add_walls, arena
from deepcrl.envs.scenes.perfect import perfect_layout, perfect_size

LAYOUTS: dict[str, str] = {
    "u_maze": "#####/#RGG#/###G#/#GGG#/#####",
    "u_maze_eval": "#####/#R..#/###.#/#GGG#/#####",
    "u_maze_single_eval": "#####/#R..#/###.#/#G..#/#####",
    "u_maze_eval_1f2f3f4f5f": "#####/#RGG#/###G#/#.GG#/#####",
    "u_maze_eval_1f2f3f4f": "#####/#RGG#/###G#/#..G#/#####",
    "u_maze_eval_1f2f3f": "#####/#RGG#/###G#/#...#/#####",
    "u_maze_eval_5f6f": "#####/#R..#/###.#/#GG.#/#####",
    "u2_maze": "######/#RGGG#/####G#/#GGGG#/######",
    "u2_maze_eval": "######/#R...#/####.#/#GGGG#/######",
    "u3_maze": "#######/#RGGGG#/#####G#/#GGGGG#/#######",
    "u3_maze_eval": "#######/#R....#/#####.#/#GGGGG#/#######",
    "u3_maze_single_eval": "#######/#R....#/#####.#/#G....#/#######",
    "u4_maze": "#####/#GGG#/#R#G#/###G#/#G#G#/#GGG#/#####",
    "u4_maze_eval": "#####/#...#/#R#.#/###.#/#G#.#/#GGG#/#####",
    "u5_maze": "########/#GGGGGG#/#R####G#/######G#/#G####G#/#GGGGGG#/########",
    "u5_maze_eval": "########/#......#/#R####.#/######.#/#G####G#/#GGGGGG#/########",
    "u5_maze_single_eval": "########/#......#/#R####.#/######.#/#G####.#/#......#/########",
    "u6_maze": "#######/#GGGGG#/#R###G#/#####G#/#G###G#/#GGGGG#/#######",
    "u6_maze_eval": "#######/#.....#/#R###.#/#####.#/#G###G#/#GGGGG#/#######",
    "u7_maze": "######/#GGGG#/#R##G#/####G#/#G##G#/#GGGG#/######",
    "u7_maze_eval": "######/#....#/#R##.#/####.#/#G##G#/#GGGG#/######",
    "big_maze": "########/#RG##GG#/#GG#GGG#/##GGG###/#GG#GGG#/#G#GG#G#/#GGG#GG#/########",
    "big_maze_eval": "########/#R.##GG#/#..#.GG#/##...###/#..#...#/#.#G.#G#/#.GG#GG#/########",
    "hardest_maze": (
        "############/#RGGG#GGGGG#/#G##G#G#G#G#/#GGGGGG#GGG#/"
        "#G####G###G#/#GG#G#GGGGG#/##G#G#G#G###/#GG#GGG#GGG#/############"
    ),
    "hardest_maze_eval": (
        "############/#R...#....G#/#.##.#.#.#G#/#......#GGG#/"
        "#.####.###G#/#..#G#....G#/##.#G#.#.###/#..#G..#GGG#/############"
    ),
    "pit_maze": "#########/#RGPGPGG#/#GGGGGGG#/#PGPGPGP#/#GGGGGGG#/#########",
    "pit_maze_eval": "#########/#R.P.PGG#/#.....GG#/#P.P.P.P#/#.....GG#/#########",
}
ANT_LAYOUTS: dict[str, str] = LAYOUTS | {
    "big_maze_eval": "########/#R.##GG#/#..#..G#/##...###/#..#...#/#.#G.#G#/#.GG#GG#/########",
}
BALL_LAYOUTS: dict[str, str] = {
    "u_maze": "#####/#RGB#/###G#/#GGG#/#####",
    "big_maze": "########/#R.##GG#/#..#GGG#/##BGB###/#GG#GGG#/#G#GG#G#/#GGG#GG#/########",
}
"""From JaxGCRL's ant_ball_maze.py."""
_LEGEND = "#RGCBP."
_ALSO = {"R": "RC", "G": "GC"}
"""Which cells are start cells, and goal cells."""
_BLOCKED = "#P"
"""No way leads through these."""


@dataclass(frozen=True, slots=True)
class Maze:
    """A parsed layout, `rows` of equal length, with cells of `cell_size` metres."""

    rows: tuple[str, ...]
    cell_size: float

    def centres(self, kind: str) -> Tensor:
        """Returns the centres of all cells of `kind`, row by row: [K, 2] float64, metres."""
        return torch.tensor(self.cells(kind), dtype=torch.float64) * self.cell_size

    def distances(self, start: tuple[int, int]) -> dict[tuple[int, int], int]:
        """Returns how many steps the cell `start` is from each cell (row, column) that it is connected to."""
        distance, frontier = {start: 0}, [start]
        for r, c in frontier:  # breadth first: the list grows during the loop
            for near in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
                if self.rows[near[0]][near[1]] not in _BLOCKED and near not in distance:
                    distance[near] = distance[r, c] + 1
                    frontier.append(near)
        return distance

    def cells(self, kind: str) -> list[tuple[int, int]]:
        """Returns row and column of all cells of `kind`, row by row; a cell `C` counts as `R` and as `G`."""
        kinds = _ALSO.get(kind, kind)
        return [(r, c) for r, row in enumerate(self.rows) for c, cell in enumerate(row) if cell in kinds]

    def free(self) -> list[tuple[int, int]]:
        """Returns row and column of all cells that a way may lead through, row by row."""
        return [(r, c) for r, row in enumerate(self.rows) for c, cell in enumerate(row) if cell not in _BLOCKED]

    def in_pit(self, place: Tensor) -> Tensor:
        """Returns which places [N, 2], in metres, are above a pit: [N] bool."""
        pits = _pits(self)
        if not len(pits):
            return torch.zeros(len(place), dtype=torch.bool, device=place.device)
        pits = pits.to(place)
        return ((place[:, None] - pits).abs() <= self.cell_size / 2).all(dim=2).any(dim=1)

    def walls(self) -> list[tuple[float, float, float, float]]:
        """Returns boxes (centre x, centre y, half size x, half size y) that cover the wall cells, each cell once.

        Few large boxes rather than one per cell: fewer pairs to test, and no seams for a leg to catch on.
        """
        free = [[cell != "#" for cell in row] for row in self.rows]
        boxes = []
        for r in range(len(free)):
            for c in range(len(free[0])):
                if not free[r][c]:
                    boxes.append(self._box(*_cover(free, r, c)))
        return boxes

    def _box(self, top: int, left: int, bottom: int, right: int) -> tuple[float, float, float, float]:
        half = self.cell_size / 2
        return (top + bottom) * half, (left + right) * half, (bottom - top + 1) * half, (right - left + 1) * half


@functools.cache
def _pits(maze: Maze) -> Tensor:
    """Centres of a maze's pits, which every step asks for."""
    return maze.centres("P")


def _cover(free: list[list[bool]], r: int, c: int) -> tuple[int, int, int, int]:
    """Marks as free the largest wall run down or right from (r, c), grown to a rectangle; returns its corner cells."""
    bottom, right = r, c
    while right + 1 < len(free[0]) and not free[r][right + 1]:
        right += 1
    if right == c:
        while bottom + 1 < len(free) and not free[bottom + 1][c]:
            bottom += 1
    else:
        while bottom + 1 < len(free) and not any(free[bottom + 1][c : right + 1]):
            bottom += 1
    for row in free[r : bottom + 1]:
        row[c : right + 1] = [True] * (right - c + 1)
    return r, c, bottom, right


def parse_layout(layout: str, cell_size: float, known: Mapping[str, str] = LAYOUTS, *, seed: int | None = None) -> Maze:
    """Returns the maze of a layout's name, or of an own layout: rows separated by `/` or new lines.

    `seed` draws `perfect_SIZE`, a task's `layout_seed`; with None there are no such layouts. Raises ValueError for an
    unknown name, a seed that nothing is drawn from and for a layout that is ragged, open to the outside, has an unknown
    character, no start, no goal or a goal that a start or ball is not connected to.
    """
    above("cell_size", cell_size, 0)
    layout = _named(layout, known, seed)
    rows = tuple(row.strip() for row in layout.strip().replace("/", "\n").split("\n"))
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(f"layout row {number} {row!r} has {len(row)} cells, but row 0 has {len(rows[0])}")
        if unknown := set(row) - set(_LEGEND):
            raise ValueError(f"layout row {number} {row!r} has {min(unknown)!r}; cells are one of {', '.join(_LEGEND)}")
    if set(rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows)) != {"#"}:
        raise ValueError("layout is open: every cell of its border must be a wall, #")
    maze = Maze(rows, cell_size)
    for kind, what in (("R", "start"), ("G", "goal")):
        if not maze.cells(kind):
            raise ValueError(f"layout has no {what} cell, {kind}")
    _check_ways(maze)
    return maze


def _named(layout: str, known: Mapping[str, str], seed: int | None) -> str:
    """Returns the rows of a layout's name; an own layout stays as it is."""
    size = None if seed is None else perfect_size(layout)
    if size is not None and seed is not None:
        return perfect_layout(size, seed)
    if seed:
        raise ValueError(
            f"layout_seed={shown(seed)} has no effect: layout={shown(layout)} is not drawn; "
            "leave it out, or use a perfect maze such as layout=perfect_21"
        )
    if "#" in layout:
        return layout
    if layout not in known:
        raise ValueError(suggest("layout", layout, known if seed is None else [*known, "perfect_SIZE"]))
    return known[layout]


def _check_ways(maze: Maze) -> None:
    """Raises ValueError for a goal cell that a start cell or a ball is not connected to."""
    goals, checked = maze.cells("G"), set()
    for kind, what in (("R", "start"), ("B", "ball")):
        for origin in maze.cells(kind):
            if origin in checked:  # connected to one that reaches all goals
                continue
            connected = maze.distances(origin)
            checked |= connected.keys()
            for goal in goals:
                if goal not in connected:
                    raise ValueError(
                        f"layout's goal cell (row, column) {goal} cannot be reached from its {what} cell {origin}"
                    )


def corridor_pairs(maze: Maze, goal_steps: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Returns, for each k of `goal_steps`, where a goal lies k cells further along the corridor than its start.

    The corridor leads from the start cell through all free cells. Each pair of starts and goals is [L - k, 2], in
    metres, for a corridor of L cells. These are scaling-crl's `_gen_` mazes: train on near goals, evaluate on far ones.
    Raises ValueError for a maze that is no corridor and for a distance that it is too short for.
    """
    distance = maze.distances(maze.cells("R")[0])
    path = sorted(distance, key=distance.__getitem__)
    if len(set(distance.values())) != len(path) or len(path) != len(maze.free()):
        raise ValueError("goal_steps needs a layout that is one corridor, with the start cell at its end")
    for k in goal_steps:
        if not 0 < k < len(path):
            raise ValueError(f"goal_steps must be within 1 and {len(path) - 1}, the length of the corridor, got {k}")
    centres = torch.tensor(path, dtype=torch.float64) * maze.cell_size
    return [(centres[:-k], centres[k:]) for k in goal_steps]


def maze_arena(maze: Maze, wall_height: float) -> mujoco.MjSpec:
    """Returns a scene with the maze's walls, and its overview camera that frames the whole maze."""
    above("wall_height", wall_height, 0)
    size = maze.cell_size
    centre = (len(maze.rows) - 1) * size / 2, (len(maze.rows[0]) - 1) * size / 2
    half_extent = max(len(maze.rows), len(maze.rows[0])) * size / 2
    spec = arena(floor_centre=centre, floor_half_size=half_extent + 10 * size)
    add_walls(spec, maze.walls(), wall_height)
    add_pits(spec, maze.centres("P").tolist(), size / 2)
    add_overview(spec, centre, half_extent, top=wall_height)
    return spec


def bounds(cells: Tensor) -> Tensor:
    """Returns the lowest and highest x and y of `cells` [K, 2]: [2, 2]."""
    return torch.stack((cells.amin(dim=0), cells.amax(dim=0)))


def sample_cells(cells: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Returns `num` of the rows of `cells` [K, 2], drawn uniformly with replacement: [num, 2]."""
    device = generator.device
    return cells.to(device)[torch.randint(len(cells), (num,), generator=generator, device=device)]
