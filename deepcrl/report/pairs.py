"""Which configurations of a task differ: the interval of each difference, and how often one run beats another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from deepcrl.report.groups import Task
from deepcrl.report.numbers import number
from deepcrl.run.plots.stats import difference

MAX_ALL_PAIRS = 6
"""With more configurations, each is compared with the best one only."""
ENOUGH_RUNS = 5
"""Of a configuration: with fewer, bootstrap intervals are too narrow, and say little."""


def pairs(task: Task) -> list[list[Any]]:
    """Returns for each pair of groups: the better, the worse, difference [value, low, high], probability, clear."""
    order = sorted(range(len(task.groups)), key=lambda i: -task.groups[i].final_scores.mean())
    chosen = list(combinations(order, 2))
    if len(order) > MAX_ALL_PAIRS:
        chosen = [(order[0], other) for other in order[1:]]
    rows = []
    for better, worse in chosen:
        found = difference(task.groups[better].final_scores, task.groups[worse].final_scores)
        interval = [number(found.value), number(found.low), number(found.high)]
        rows.append([better, worse, interval, number(found.probability), found.is_clear])
    return rows


def caveat(task: Task) -> str:
    """Returns a line if some configuration of several has too few runs to be told from others, else ""."""
    fewest = min(len(group.runs) for group in task.groups)
    if len(task.groups) < 2 or fewest >= ENOUGH_RUNS:
        return ""
    runs = "one run" if fewest == 1 else f"{fewest} runs"
    return (
        f"{task.name}: a configuration has {runs}; to tell configurations apart takes at least {ENOUGH_RUNS} seeds each"
    )
