"""Perfect mazes, drawn by seed: exactly one way leads from any free cell to any other.

A maze of odd size S has S x S cells, its border included. The rooms are the cells with odd row and column; carving goes
on from the newest room to a random neighbour that no way leads to yet, and goes back where there is none: a depth-first
search. It leaves long corridors, so that two cells are often much farther apart than they look.

Every free cell is a place to start and to be a goal, drawn independently, so some episodes begin at their goal.
"""

from __future__ import annotations

import re

import torch

from deepcrl.core.checks import at_least
from deepcrl.core.seeding import generator

SMALLEST, LARGEST = 5, 101
_NAME = re.compile(r"perfect_([1-9][0-9]{0,8})")


def perfect_size(name: str) -> int | None:
    """Returns the size S of the layout `perfect_S`, None for another name.

    Raises ValueError for a size that no perfect maze has.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    size = int(match[1])
    if size % 2 == 0 or not SMALLEST <= size <= LARGEST:
        near = min(max(size + 1 - size % 2, SMALLEST), LARGEST)
        raise ValueError(
            f"layout=perfect_{size}: the size of a perfect maze is odd, from {SMALLEST} to {LARGEST}; "
            f"the nearest is perfect_{near}"
        )
    return size


def perfect_layout(size: int, seed: int) -> str:
    """Returns the perfect maze of `size` cells a side that `seed` draws, in rows separated by `/`.

    The same on every machine: it comes from the generator `maze` of the seed, on the CPU.
    """
    at_least("layout_seed", seed, 0)
    random = generator(seed, "maze")
    free = [[False] * size for _ in range(size)]
    free[1][1] = True
    way = [(1, 1)]
    while way:
        r, c = way[-1]
        ahead = [(r + 2, c), (r - 2, c), (r, c + 2), (r, c - 2)]
        ahead = [(to_r, to_c) for to_r, to_c in ahead if 0 < to_r < size and 0 < to_c < size and not free[to_r][to_c]]
        if not ahead:
            way.pop()
            continue
        to_r, to_c = ahead[int(torch.randint(len(ahead), (), generator=random))]
        free[to_r][to_c] = free[(r + to_r) // 2][(c + to_c) // 2] = True
        way.append((to_r, to_c))
    return "/".join("".join("C" if cell else "#" for cell in row) for row in free)
