"""Mazes as ASCII layouts, and what a scene needs of them: walls, start cells and goal cells.

`#` wall, `R` start, `G` goal, `.` free. Row r and column c of the layout are centred on x = r * cell_size and
y = c * cell_size, as in scaling-crl and JaxGCRL. Layouts from scaling-crl's ant_maze.py.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

from dataclasses import dataclass

import mujoco
import torch
from torch import Tensor

from deepcrl.core.registry import suggest
from deepcrl.envs.scene import add_overview, add_walls, arena
from deepcrl.envs.settings import above

LAYOUTS: dict[str, str] = {
    "u_maze": "#####/#RGG#/###G#/#GGG#/#####",
    "u_maze_eval": "#####/#R..#/###.#/#GGG#/#####",
    "big_maze": "########/#RG##GG#/#GG#GGG#/##GGG###/#GG#GGG#/#G#GG#G#/#GGG#GG#/########",
    "big_maze_eval": "########/#R.##GG#/#..#..G#/##...###/#..#...#/#.#G.#G#/#.GG#GG#/########",
    "hardest_maze": (
        "############/#RGGG#GGGGG#/#G##G#G#G#G#/#GGGGGG#GGG#/"
        "#G####G###G#/#GG#G#GGGGG#/##G#G#G#G###/#GG#GGG#GGG#/############"
    ),
}
_LEGEND = "#RG."


@dataclass(frozen=True, slots=True)
class Maze:
    """A parsed layout, `rows` of equal length, with cells of `cell_size` metres."""

    rows: tuple[str, ...]
    cell_size: float

    def centres(self, kind: str) -> Tensor:
        """Returns the centres of all cells of `kind`, row by row: [K, 2] float64, metres."""
        cells = [(r, c) for r, row in enumerate(self.rows) for c, cell in enumerate(row) if cell == kind]
        return torch.tensor(cells, dtype=torch.float64) * self.cell_size

    def walls(self) -> list[tuple[float, float, float, float]]:
        """Returns boxes (centre x, centre y, half size x, half size y) that cover the wall cells, each cell once.

        Few large boxes rather than one per cell: fewer pairs to test, and no seams for a leg to catch on.
        """
        free = [[cell != "#" for cell in row] for row in self.rows]
        boxes = []
        for r in range(len(free)):
            for c in range(len(free[0])):
                if not free[r][c]:
                    boxes.append(self._box(*_claim(free, r, c)))
        return boxes

    def _box(self, top: int, left: int, bottom: int, right: int) -> tuple[float, float, float, float]:
        half = self.cell_size / 2
        return (top + bottom) * half, (left + right) * half, (bottom - top + 1) * half, (right - left + 1) * half


def _claim(free: list[list[bool]], r: int, c: int) -> tuple[int, int, int, int]:
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


def parse_layout(layout: str, cell_size: float) -> Maze:
    """Returns the maze of a layout's name, or of an own layout: rows separated by `/` or new lines.

    Raises ValueError for an unknown name and for a layout that is ragged, open to the outside, has an unknown
    character, no start or no goal.
    """
    above("cell_size", cell_size, 0)
    if "#" not in layout:
        if layout not in LAYOUTS:
            raise ValueError(suggest("layout", layout, LAYOUTS))
        layout = LAYOUTS[layout]
    rows = tuple(row.strip() for row in layout.strip().replace("/", "\n").split("\n"))
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(f"layout row {number} {row!r} has {len(row)} cells, but row 0 has {len(rows[0])}")
        if unknown := set(row) - set(_LEGEND):
            raise ValueError(f"layout row {number} {row!r} has {min(unknown)!r}; cells are one of {', '.join(_LEGEND)}")
    if set(rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows)) != {"#"}:
        raise ValueError("layout is open: every cell of its border must be a wall, #")
    for kind, what in (("R", "start"), ("G", "goal")):
        if not any(kind in row for row in rows):
            raise ValueError(f"layout has no {what} cell, {kind}")
    return Maze(rows, cell_size)


def maze_arena(maze: Maze, wall_height: float) -> mujoco.MjSpec:
    """Returns a scene with the maze's walls, and its overview camera that frames the whole maze."""
    above("wall_height", wall_height, 0)
    size = maze.cell_size
    centre = (len(maze.rows) - 1) * size / 2, (len(maze.rows[0]) - 1) * size / 2
    half_extent = max(len(maze.rows), len(maze.rows[0])) * size / 2
    spec = arena(floor_centre=centre, floor_half_size=half_extent + 10 * size)
    add_walls(spec, maze.walls(), wall_height)
    add_overview(spec, centre, half_extent, top=wall_height)
    return spec


def pick(cells: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Returns `num` of the rows of `cells` [K, 2], drawn uniformly with replacement: [num, 2]."""
    device = generator.device
    return cells.to(device)[torch.randint(len(cells), (num,), generator=generator, device=device)]
