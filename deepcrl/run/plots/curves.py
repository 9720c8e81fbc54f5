"""Curves over seeds as PNG files, and what all our pictures share. matplotlib is imported on use; no display needed."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepcrl.core.files import write_atomic
from deepcrl.run.console import format_number, format_steps
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import read_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = list[dict[str, float]]

# Okabe and Ito's palette: told apart with any colour vision, and in grey.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9"
INK = "#22262B"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#B9BEC5",
    "axes.labelcolor": "#5A6069",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E8EAED",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": "#5A6069",
    "ytick.color": "#5A6069",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
AXES = {"env_steps": "environment steps", "grad_steps": "gradient steps"}


def plot_runs(
    run_dirs: Sequence[str | Path] | Mapping[str, Sequence[str | Path]],
    metric: str,
    path: str | Path,
    *,
    ylabel: str = "",
    title: str = "",
) -> Path:
    """Draws one metric of several seeds over env steps into the PNG `path`: thin seeds, bold mean, standard error.

    `run_dirs` is one set of seeds, or a dict of labelled sets to compare. The mean covers the steps that all seeds
    of a set have reached. Raises ValueError if a run never measured `metric`.
    """
    sets = run_dirs if isinstance(run_dirs, Mapping) else {"": run_dirs}
    groups = {label: [RunDir(Path(member)) for member in members] for label, members in sets.items()}
    curves = {label: [_measured(run, metric) for run in members] for label, members in groups.items()}
    counter = counter_of(read_run(next(iter(groups.values()))[0]))
    limits = (0 if metric.startswith("eval/") else None, 1 if metric == "eval/success_any" else None)
    return plot_curves(curves, path, counter=counter, ylabel=ylabel or metric, title=title or metric, limits=limits)


def plot_curves(
    groups: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]],
    path: str | Path,
    *,
    counter: str,
    ylabel: str,
    title: str,
    limits: tuple[float | None, float | None] = (0, None),
) -> Path:
    """Draws labelled sets of curves, each of steps [R] of `counter` and values [R], as `plot_runs` does."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        ax = figure.add_subplot()
        for i, (label, curves) in enumerate(groups.items()):
            _draw_seeds(ax, curves, (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)[i % 6], label)
        format_axes(ax, limits)
        ax.set_ylabel(ylabel)
        ax.set_xlabel(AXES[counter])
        ax.set_title(title, loc="left", weight="bold", size=11)
        ax.legend(loc="best")
        save_png(figure, Path(path))
    return Path(path)


def read_run(run: RunDir) -> Rows:
    """Returns the rows of metrics.jsonl. Raises ValueError if there are none."""
    rows = read_rows(run.metrics_path)[0] if run.metrics_path.exists() else []
    if not rows:
        raise ValueError(f"{run.path} has no metrics to plot")
    return rows


def save_png(figure: Figure, path: Path) -> None:
    """Writes `figure` to `path`, whole or not at all, and makes the folders above it."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=140)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, image.getvalue())


def counter_of(rows: Rows) -> str:
    """Returns what curves are drawn over: env_steps, or grad_steps of a run that took none."""
    return "env_steps" if any(row["env_steps"] for row in rows) else "grad_steps"


def series(rows: Rows, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (steps, value) [R] of the rows that have a finite `key`."""
    counter = counter_of(rows)
    pairs = [(row[counter], row[key]) for row in rows if math.isfinite(row.get(key, math.nan))]
    steps, values = np.array(pairs, dtype=float).reshape(-1, 2).T
    return steps, values


def format_axes(ax: Axes, limits: tuple[float | None, float | None]) -> None:
    """Gives the axes few round ticks, and y the `limits` that are set, with a margin."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = limits
    margin = 0.03  # so that a curve at 0 or 1 is not half hidden by the frame
    if low is not None:
        measured = ax.get_ylim()[1] if ax.dataLim.y1 > low else low + 1  # all zero: not a range of rounding errors
        top = high if high is not None else measured
        ax.set_ylim(low - margin * (top - low), top + margin * (top - low))
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: format_steps(steps)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(round(value, 9))))


def _measured(run: RunDir, metric: str) -> tuple[np.ndarray, np.ndarray]:
    steps, values = series(read_run(run), metric)
    if not len(steps):
        raise ValueError(f"{run.path} never measured {metric}")
    return steps, values


def _draw_seeds(ax: Axes, curves: Sequence[tuple[np.ndarray, np.ndarray]], color: str, label: str) -> None:
    for steps, values in curves:
        ax.plot(steps, values, color=color, linewidth=0.7, alpha=0.4 if len(curves) > 1 else 0.0)
    start, end = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    grid = np.unique(np.concatenate([steps for steps, _ in curves]))
    grid = grid[(grid >= start) & (grid <= end)]
    values = np.stack([np.interp(grid, *curve) for curve in curves])
    mean = values.mean(axis=0)
    name = f"{label}: " if label else ""
    if len(curves) > 1:
        stderr = values.std(axis=0, ddof=1) / math.sqrt(len(curves))
        ax.fill_between(grid, mean - stderr, mean + stderr, color=color, alpha=0.18, linewidth=0)
        name += f"mean ± s.e. of {len(curves)} seeds"
    else:
        name += "1 seed"
    ax.plot(grid, mean, color=color, linewidth=2, marker="o" if len(grid) <= 2 else None, label=name)
