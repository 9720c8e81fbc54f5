"""Learning curves as PNG files, from metrics.jsonl alone. matplotlib is imported on use, and no display is needed."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from deepcrl.core.console import format_duration, format_number, format_steps
from deepcrl.core.loggers import read_rows
from deepcrl.core.run_dir import RunDir, write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = list[dict[str, float]]

# Okabe and Ito's palette: told apart with any colour vision, and in grey.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9"
INK = "#22262B"
COLUMNS = 4
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


@dataclass(frozen=True, slots=True)
class Panel:
    """One small chart: the metrics it draws, with their labels (the first is the headline), unit and y limits."""

    title: str
    unit: str
    metrics: tuple[tuple[str, str], ...]
    color: str
    limits: tuple[float | None, float | None] = (None, None)


AXES = {"env_steps": "environment steps", "grad_steps": "gradient steps"}
PANELS = (
    Panel("Time at goal", "steps per episode", (("eval/time_at_goal", "evaluation"),), BLUE, (0, None)),
    Panel("Goal reached", "share of episodes", (("eval/success_any", ""),), BLUE, (0, 1)),
    Panel("Final distance to goal", "metres", (("eval/final_distance", ""),), BLUE, (0, None)),
    Panel("Episode length", "steps", (("eval/episode_length", ""),), BLUE, (0, None)),
    Panel("Critic accuracy", "share of batch", (("critic/categorical_accuracy", ""),), VERMILION, (0, 1)),
    Panel("Critic loss", "nats", (("critic/loss", ""),), VERMILION),
    Panel("Logits", "", (("critic/logits_pos", "positive"), ("critic/logits_neg", "negative")), VERMILION),
    Panel("Logsumexp", "", (("critic/logsumexp", ""),), VERMILION),
    Panel("Actor loss", "", (("actor/loss", ""),), GREEN),
    Panel("Policy entropy", "nats", (("actor/entropy", ""),), GREEN),
    Panel("Environment steps/s", "wall clock", (("env_steps", ""),), PURPLE, (0, None)),
    Panel("Gradient steps/s", "wall clock", (("grad_steps", ""),), PURPLE, (0, None)),
)


def plot_run(run_dir: str | Path) -> list[Path]:
    """Draws `plots/curves.png` in `run_dir` from its metrics and returns the files written.

    A chart whose metrics were never measured is left out. Raises ValueError if there are no rows at all.
    """
    run = RunDir(Path(run_dir))
    rows = _rows(run)
    path = run.plots_dir / "curves.png"
    save_png(_curves(rows, run), path)
    return [path]


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
    counter = _counter(_rows(next(iter(groups.values()))[0]))
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
        _format_axes(ax, limits)
        ax.set_ylabel(ylabel)
        ax.set_xlabel(AXES[counter])
        ax.set_title(title, loc="left", weight="bold", size=11)
        ax.legend(loc="best")
        save_png(figure, Path(path))
    return Path(path)


def _rows(run: RunDir) -> Rows:
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


def _counter(rows: Rows) -> str:
    """Returns what curves are drawn over: env_steps, or grad_steps of a run that took none."""
    return "env_steps" if any(row["env_steps"] for row in rows) else "grad_steps"


def _series(rows: Rows, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (steps, value) [R] of the rows that have a finite `key`."""
    counter = _counter(rows)
    pairs = [(row[counter], row[key]) for row in rows if math.isfinite(row.get(key, math.nan))]
    steps, values = np.array(pairs, dtype=float).reshape(-1, 2).T
    return steps, values


def _speed(rows: Rows, counter: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (steps, counts per second) [R - stride], over windows of about a fiftieth of the run."""
    stride = max(1, len(rows) // 50)
    count, seconds, steps = (
        np.array([row[k] for row in rows], float) for k in (counter, "wall_seconds", _counter(rows))
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


def _curves(rows: Rows, run: RunDir) -> Figure:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawn = []
    for panel in PANELS:
        read = _speed if panel.metrics[0][0] in ("env_steps", "grad_steps") else _series
        curves = [(key, label, *read(rows, key)) for key, label in _with_learners(panel.metrics, rows)]
        curves = [curve for curve in curves if len(curve[2]) and not (curve[0] == "env_steps" and not curve[3].any())]
        if curves:
            drawn.append((panel, curves))
    num_rows = max(1, math.ceil(len(drawn) / COLUMNS))
    counter = _counter(rows)
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
            f"{format_steps(last[_counter(rows)])} {AXES[_counter(rows)]}",
            f"{format_duration(last['wall_seconds'])} wall time",
        ]
    )


def _draw_panel(ax: Axes, panel: Panel, curves: list[tuple[str, str, np.ndarray, np.ndarray]], rows: Rows) -> None:
    for (key, label, steps, values), color in zip(
        curves, cycle((panel.color, ORANGE, GREEN, PURPLE, SKY)), strict=False
    ):
        _draw_curve(ax, steps, values, color, label)
        error_steps, errors = _series([row for row in rows if key in row], f"{key}_stderr")
        if len(errors) and len(errors) == len(values):
            ax.fill_between(error_steps, values - errors, values + errors, color=color, alpha=0.18, linewidth=0)
    headline = curves[0][3]
    if len(curves) > 1:
        ax.legend(loc="best")
    else:
        ax.set_title(format_number(_smooth(headline)[-1]), loc="right", size=10, color=panel.color, weight="bold")
    ax.set_title(panel.title, loc="left", size=10, weight="bold")
    ax.set_ylabel(panel.unit, size=8)
    _format_axes(ax, panel.limits)


def _draw_curve(ax: Axes, steps: np.ndarray, values: np.ndarray, color: str, label: str) -> None:
    if len(steps) <= 50:  # few enough to see each measurement
        ax.plot(steps, values, color=color, linewidth=1.6, marker="o", markersize=3, label=label)
        return
    ax.plot(steps, values, color=color, linewidth=0.6, alpha=0.3)
    ax.plot(steps, _smooth(values), color=color, linewidth=1.6, label=label)


def _format_axes(ax: Axes, limits: tuple[float | None, float | None]) -> None:
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
    steps, values = _series(_rows(run), metric)
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
