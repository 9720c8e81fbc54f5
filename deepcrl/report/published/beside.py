"""What studies published, beside the configurations of a task that ran the same, for the page and the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcrl.report.groups import Task
from deepcrl.report.numbers import number, numbers
from deepcrl.report.published.scores import Match, Published, matches
from deepcrl.report.read import SCORE
from deepcrl.run.console import format_steps

Row = list[Match | None]
"""What one study has for each configuration of a task."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A published final mean, to be drawn as a line across learning curves."""

    where: str
    """That it is published, in which simulator, and after how many env steps."""
    label: str
    """Method and depth."""
    groups: list[int]
    """The positions of the configurations that ran the same."""
    value: float


def beside(task: Task) -> list[dict[str, Any]]:
    """Returns, for the page, what each study that ran the same as some configuration reports."""
    return [_shown(task, row) for row in _rows(task)]


def references(task: Task) -> list[Reference]:
    """Returns the final means of the studies whose learning curves are not known to the end."""
    return [line for row in _rows(task) for line in _lines(row)]


def _rows(task: Task) -> list[Row]:
    if task.score != SCORE:
        return []
    found = [{m.published.study.name: m for m in matches(group.runs[0].config)} for group in task.groups]
    studies = dict.fromkeys(name for group in found for name in group)
    return [[group.get(study) for group in found] for study in studies]


def _shown(task: Task, row: Row) -> dict[str, Any]:
    entry = next(match.published for match in row if match)
    ends = [min(run.last("env_steps") for run in group.runs) for group in task.groups]
    return {
        "name": entry.study.name,
        "title": entry.study.title,
        "source": entry.study.source,
        "simulator": entry.study.simulator,
        "env_steps": entry.env_steps,
        "groups": [match and _of_group(match, end) for match, end in zip(row, ends, strict=True)],
        "curves": [
            _curve(match, groups) for match, groups in _same(row).items() if match.depth in match.published.curves
        ],
        "lines": [[line.where, line.label, line.groups, number(line.value)] for line in _lines(row)],
        "tables": [_table(entry, groups) for entry, groups in _methods(row).items()],
    }


def _of_group(match: Match, env_steps: float) -> list[Any]:
    """Method, depth, score after as many env steps, and final score with its spread."""
    entry, depth = match.published, match.depth
    return [entry.method, depth, number(entry.at(depth, env_steps)), [*map(number, entry.scores[depth])]]


def _curve(match: Match, groups: list[int]) -> list[Any]:
    """Label, configurations, env steps and scores of a learning curve."""
    entry, depth = match.published, match.depth
    return [f"{entry.study.name}, {entry.method}, depth {depth}", groups, *map(numbers, entry.curves[depth])]


def _lines(row: Row) -> list[Reference]:
    lines = []
    for match, groups in _same(row).items():
        entry, depth = match.published, match.depth
        if not entry.goes_to_the_end(depth):
            lines.append(Reference(_where(entry), f"{entry.method}, depth {depth}", groups, entry.scores[depth][0]))
    return lines


def _table(entry: Published, groups: list[int]) -> list[Any]:
    """Label, configurations, depths, and final means with the ends of their spread."""
    columns = np.array([entry.interval(depth) for depth in entry.scores]).T
    return [f"{_where(entry)}: {entry.method}", groups, list(entry.scores), *map(numbers, columns)]


def _where(entry: Published) -> str:
    """Says that this is not ours."""
    return f"published in another simulator ({entry.study.simulator}), {format_steps(entry.env_steps)} env steps"


def _same(row: Row) -> dict[Match, list[int]]:
    """Each match once, with the positions of its configurations."""
    found: dict[Match, list[int]] = {}
    for i, match in enumerate(row):
        if match:
            found.setdefault(match, []).append(i)
    return found


def _methods(row: Row) -> dict[Published, list[int]]:
    """The methods whose learning curves are not known to the end, with the positions of their configurations."""
    found: dict[Published, list[int]] = {}
    for i, match in enumerate(row):
        if match and not match.published.goes_to_the_end(match.depth):
            found.setdefault(match.published, []).append(i)
    return found
