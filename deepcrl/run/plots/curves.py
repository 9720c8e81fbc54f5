"""Learning curves as PNG files, of several runs or of one: no display needed, matplotlib is imported on use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from deepcrl.run.console import format_duration, format_number, format_steps
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import read_rows
from deepcrl.run.plots.panels import OF_METHODS, Panel
from deepcrl.run.plots.stats import CONFIDENCE, band, thinned
from deepcrl.run.plots.style import (
    AXES,
    BLUE,
    COLORS,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILION,
    format_axes,
    save_png,
)
from deepcrl.training.schedule import counter_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = list[dict[str, float]]

COLUMNS = 4


def plot_runs(
    run_dirs: Sequence[str | Path] | Mapping[str, Sequence[str | Path]],
    metric: str,
    path: str | Path,
    *,
    ylabel: str = "",
    title: str = "",
) -> Path:
    """Draws one metric of several seeds into the PNG `path`: thin seeds, bold interquartile mean, 95% interval.

    `run_dirs` is one set of seeds, or a dict of labelled sets to compare. The statistics are those of `deepcrl report`,
    over the steps that all seeds of a set have reached. Raises ValueError for a set without runs, and if a run never
    measured `metric`.
    """
    sets = run_dirs if isinstance(run_dirs, Mapping) else {"": run_dirs}
    groups = {label: [RunDir(Path(member)) for member in members] for label, members in sets.items()}
    if not groups or not all(groups.values()):
        empty = ", ".join(repr(label) for label, members in groups.items() if label and not members)
        raise ValueError(f"There are no runs to plot{empty and f' of {empty}'}: {metric} of at least one is needed")
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
    references: Sequence[tuple[str, str, float]] = (),
) -> Path:
    """Draws labelled sets of curves, each of steps [R] of `counter` and values [R], as `plot_runs` does.

    `references` are values from elsewhere, dashed across the picture: the set whose colour it takes, or "", its label,
    and the value.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        rows_below = len(groups) + len(references) if references else 0  # of the legend, whose labels are long then
        figure = Figure(figsize=(6.4, 4.0 + 0.2 * rows_below), layout="constrained")
        ax = figure.add_subplot()
        colors = dict(zip(groups, cycle(COLORS), strict=False))
        for label, curves in groups.items():
            _draw_seeds(ax, curves, colors[label], label)
        for label, name, value in references:
            ax.axhline(value, color=colors.get(label, INK), linewidth=1.2, linestyle="--", label=name)
        format_axes(ax, limits)
        ax.set_ylabel(ylabel)
        ax.set_xlabel(AXES[counter])
        ax.set_title(title, loc="left", weight="bold", size=11)
        if references:
            figure.legend(loc="outside lower left")
        else:
            ax.legend(loc="best")
        save_png(figure, Path(path))
    return Path(path)


def read_run(run: RunDir) -> Rows:
    """Returns the rows of metrics.jsonl. Raises ValueError if there are none."""
    rows = read_rows(run.metrics_path)[0] if run.metrics_path.exists() else []
    if not rows:
        raise ValueError(f"{run.path} has no metrics to plot")
    return rows


def series(rows: Rows, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (steps, value) [R] of the rows that have a finite `key`."""
    counter = counter_of(rows)
    pairs = [(row[counter], row[key]) for row in rows if math.isfinite(row.get(key, math.nan))]
    steps, values = np.array(pairs, dtype=float).reshape(-1, 2).T
    return steps, values


def _measured(run: RunDir, metric: str) -> tuple[np.ndarray, np.ndarray]:
    steps, values = series(read_run(run), metric)
    if not len(steps):
        raise ValueError(f"{run.path} never measured {metric}")
    return steps, values


def _draw_seeds(ax: Axes, curves: Sequence[tuple[np.ndarray, np.ndarray]], color: str, label: str) -> None:
    name = f"{label}: " if label else ""
    if len(curves) == 1:
        ((steps, values),) = curves
        name += "1 seed"
    else:
        for steps, values in curves:
            ax.plot(steps, values, color=color, linewidth=0.7, alpha=0.4)
        mean = band([(thinned(steps), thinned(values)) for steps, values in curves])
        ax.fill_between(mean.x, mean.low, mean.high, color=color, alpha=0.18, linewidth=0)
        steps, values = mean.x, mean.value
        name += f"interquartile mean of {len(curves)} seeds, {CONFIDENCE:.0%} interval"
    ax.plot(steps, values, color=color, linewidth=2, marker="o" if len(steps) <= 2 else None, label=name)


PANELS = (
    Panel(
        "Time at goal",
        "steps per episode",
        (("eval/time_at_goal", "evaluation"), ("eval_sampled/time_at_goal", "sampled actions")),
        BLUE,
        (0, None),
    ),
    Panel("Goal reached", "share of episodes", (("eval/success_any", ""),), BLUE, (0, 1)),
    Panel("Final distance to goal", "metres", (("eval/final_distance", ""),), BLUE, (0, None)),
    Panel("Episode length", "steps", (("eval/episode_length", ""),), BLUE, (0, None)),
    Panel("Critic accuracy", "share of batch", (("critic/categorical_accuracy", ""),), VERMILION, (0, 1)),
    Panel(
        "Ways that the critic solves",
        "share of places and goals",
        (("critic/path_solved", "all"), ("critic/path_solved_far", "far goals")),
        VERMILION,
        (0, 1),
    ),
    Panel("Critic loss", "nats", (("critic/loss", ""),), VERMILION),
    Panel("Logits", "", (("critic/logits_pos", "positive"), ("critic/logits_neg", "negative")), VERMILION),
    Panel("Logsumexp", "", (("critic/logsumexp", ""),), VERMILION),
    Panel("Actor loss", "", (("actor/loss", ""),), GREEN),
    Panel("Policy entropy", "nats", (("actor/entropy", ""),), GREEN),
    *OF_METHODS,
    Panel("Environment steps/s", "wall clock", (("env_steps", ""),), PURPLE, (0, None)),
    Panel("Gradient steps/s", "wall clock", (("grad_steps", ""),), PURPLE, (0, None)),
)


def plot_run(run_dir: str | Path) -> list[Path]:
    """Draws `plots/curves.png` in `run_dir` from its metrics and returns the files written.

    A chart whose metrics were never measured is left out. Raises ValueError if there are no rows at all.
    """
    run = RunDir(Path(run_dir))
    rows = read_run(run)
    path = run.plots_dir / "curves.png"
    save_png(_curves(rows, run), path)
    return [path]


def _curves(rows: Rows, run: RunDir) -> Figure:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawn = []
    for panel in PANELS:
        read = _speed if panel.metrics[0][0] in ("env_steps", "grad_steps") else series
        curves = [(key, label, *read(rows, key)) for key, label in _with_learners(panel.metrics, rows)]
        curves = [curve for curve in curves if len(curve[2]) and not (curve[0] == "env_steps" and not curve[3].any())]
        if curves:
            drawn.append((panel, curves))
    num_rows = max(1, math.ceil(len(drawn) / COLUMNS))
    counter = counter_of(rows)
    end = max(row[counter] for row in rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * COLUMNS, 2.45 * num_rows + 0.7))
        top, bottom = 1 - 0.95 / figure.get_figheight(), 0.5 / figure.get_figheight()
        figure.subplots_adjust(left=0.055, right=0.985, top=top, bottom=bottom, wspace=0.22, hspace=0.5)
        _header(figure, run.path.resolve().name, _summary(rows, run))
        for i, (panel, curves) in enumerate(drawn):
            ax = figure.add_subplot(num_rows, COLUMNS, i + 1)
            _draw_panel(ax, panel, curves, rows)
            ax.set_xlim(-0.02 * end, 1.02 * end) if end > 0 else ax.set_xticks([0])
            if i + COLUMNS >= len(drawn):
                ax.set_xlabel(AXES[counter])
    return figure


def _with_learners(metrics: tuple[tuple[str, str], ...], rows: Rows) -> list[tuple[str, str]]:
    """Adds the scores of learners beside that of the agent which acts, such as `deep/eval/time_at_goal`."""
    key, label = metrics[0]
    scores = sorted({name for row in rows for name in row if name.endswith(f"/{key}")}) if key[:5] == "eval/" else []
    own = [(key, "acting" if scores else label), *metrics[1:]]
    return [*own, *((name, name.removesuffix(f"/{key}")) for name in scores)]


def _header(figure: Figure, name: str, summary: str) -> None:
    inch = 1 / figure.get_figheight()
    note = "band: standard error over episodes    thin line: every row    thick line: running mean"
    figure.text(0.02, 1 - 0.32 * inch, name, size=15, weight="bold", va="center")
    figure.text(0.985, 1 - 0.25 * inch, summary, size=9.5, color="#5A6069", va="center", ha="right")
    figure.text(0.985, 1 - 0.48 * inch, note, size=8, color="#8A8F98", va="center", ha="right")


def _summary(rows: Rows, run: RunDir) -> str:
    """Returns one line on what was run, as far as the directory tells."""
    try:
        config = yaml.safe_load(run.config_path.read_text())
    except (OSError, yaml.YAMLError):
        config = None
    parts = []
    if isinstance(config, dict):
        groups = [config.get(group) for group in ("env", "agent", "loss")]
        parts = [str(group["name"]) for group in groups if isinstance(group, dict)]
        depth = (config.get("encoder") or {}).get("depth")
        parts += [f"depth {depth}"] if depth else []
        parts += [f"seed {config['seed']}"] if "seed" in config else []
    last = rows[-1]
    return "  ·  ".join(
        [
            *parts,
            f"{format_steps(last[counter_of(rows)])} {AXES[counter_of(rows)]}",
            f"{format_duration(last['wall_seconds'])} wall time",
        ]
    )


def _draw_panel(ax: Axes, panel: Panel, curves: list[tuple[str, str, np.ndarray, np.ndarray]], rows: Rows) -> None:
    for (key, label, steps, values), color in zip(
        curves, cycle((panel.color, ORANGE, GREEN, PURPLE, SKY)), strict=False
    ):
        _draw_curve(ax, steps, values, color, label)
        error_steps, errors = series([row for row in rows if key in row], f"{key}_stderr")
        if len(errors) and len(errors) == len(values):
            ax.fill_between(error_steps, values - errors, values + errors, color=color, alpha=0.18, linewidth=0)
    headline = curves[0][3]
    if len(curves) > 1:
        ax.legend(loc="best")
    else:
        ax.set_title(format_number(_smooth(headline)[-1]), loc="right", size=10, color=panel.color, weight="bold")
    ax.set_title(panel.title, loc="left", size=10, weight="bold")
    ax.set_ylabel(panel.unit, size=8)
    format_axes(ax, panel.limits)


def _draw_curve(ax: Axes, steps: np.ndarray, values: np.ndarray, color: str, label: str) -> None:
    if len(steps) <= 50:  # few enough to see each measurement
        ax.plot(steps, values, color=color, linewidth=1.6, marker="o", markersize=3, label=label)
        return
    ax.plot(steps, values, color=color, linewidth=0.6, alpha=0.3)
    ax.plot(steps, _smooth(values), color=color, linewidth=1.6, label=label)


def _speed(rows: Rows, counter: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (steps, counts per second) [R - stride], over windows of about a fiftieth of the run."""
    stride = max(1, len(rows) // 50)
    count, seconds, steps = (
        np.array([row[k] for row in rows], float) for k in (counter, "wall_seconds", counter_of(rows))
    )
    elapsed = seconds[stride:] - seconds[:-stride]
    valid = elapsed > 0
    return steps[stride:][valid], (count[stride:] - count[:-stride])[valid] / elapsed[valid]


def _smooth(values: np.ndarray) -> np.ndarray:
    """Returns the running mean over about a fiftieth of the points, centred, and over half of that at both ends."""
    half = len(values) // 100
    total = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)
