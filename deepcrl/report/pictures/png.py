"""The report's comparisons as PNG files: learning curves, and final scores from best to worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepcrl.core.checks import printable
from deepcrl.report.groups import Group, Task
from deepcrl.report.published.beside import references
from deepcrl.report.read import SCORE
from deepcrl.run.plots.curves import plot_curves
from deepcrl.run.plots.style import BLUE, INK, STYLE, save_png
from deepcrl.training.schedule import counter_of

MAX_CURVES = 6
"""As many as have colours of their own."""
YLABEL = "time at goal (steps)"


def draw_curves(task: Task, path: Path) -> Path:
    """Draws the score over training of each configuration, or of the `MAX_CURVES` that end best."""
    best = sorted(task.groups, key=_score, reverse=True)[:MAX_CURVES]
    groups = [group for group in task.groups if group in best]
    title = (
        task.name if len(groups) == len(task.groups) else f"{task.name}, the best {len(groups)} of {len(task.groups)}"
    )
    counter = counter_of(row for run in task.runs for row in run.rows)
    series = {group.label: [run.series(task.score) for run in group.runs] for group in groups}
    curves = {label: [(one[counter], one["value"]) for one in members] for label, members in series.items()}
    lines = _references(task, groups)
    return plot_curves(curves, path, counter=counter, ylabel=_label(task.score), title=title, references=lines)


def _references(task: Task, groups: list[Group]) -> list[tuple[str, str, float]]:
    """Published final means of the configurations that are drawn: the one that it is of, if it is one, label, value."""
    lines = []
    for reference in references(task):
        own = [task.groups[i].label for i in reference.groups if task.groups[i] in groups]
        lines += (
            [(own[0] if len(own) == 1 else "", f"{reference.where}: {reference.label}", reference.value)] if own else []
        )
    return lines


def draw_scores(task: Task, path: Path) -> Path:
    """Draws a row per configuration, best first: its final scores, their interquartile mean and its interval."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    groups = sorted(task.groups, key=_score)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.9 + 0.2 * len(groups)), layout="constrained")
        ax = figure.add_subplot()
        for row, group in enumerate(groups):
            found = group.final(task.score)
            if found is None:
                continue
            ax.plot(group.final_scores, np.full(len(group.runs), row), "|", color=INK, alpha=0.5, markersize=6)
            if np.isfinite(found.low):
                ax.plot((found.low, found.high), (row, row), color=BLUE, linewidth=4, alpha=0.3, solid_capstyle="butt")
            ax.plot(found.value, row, "o", color=BLUE, markersize=5)
        ax.set_yticks(range(len(groups)), [printable(group.label) for group in groups], size=7)
        ax.set_ylim(-0.8, len(groups) - 0.2)
        ax.set_xlim(left=min(0, ax.get_xlim()[0]))
        ax.set_xlabel(f"{_label(task.score)}: each run, interquartile mean, 95% interval")
        ax.set_title(f"{task.name}: final scores", loc="left", weight="bold", size=11)
        save_png(figure, path)
    return path


def _label(score: str) -> str:
    return YLABEL if score == SCORE else score


def _score(group: Group) -> float:
    found = group.final(group.score)
    return -np.inf if found is None else found.value
