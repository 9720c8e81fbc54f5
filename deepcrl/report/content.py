"""What the page shows, as plain data: everything is computed here, the page only draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from deepcrl.report.groups import Group, Task, by_task, plain, shortest
from deepcrl.report.numbers import number, numbers
from deepcrl.report.pairs import caveat, pairs
from deepcrl.report.pictures.attachments import MAX_MAPPED, Films, Maps, Pictures
from deepcrl.report.published.beside import beside
from deepcrl.report.read import SCORE, Found, RunRecord
from deepcrl.report.sizes import Sizes, sizes
from deepcrl.run.metrics import COUNTERS
from deepcrl.run.plots.stats import CONFIDENCE, NUM_RESAMPLES, Estimate, estimate, thinned
from deepcrl.training.block_norms import last_blocks
from deepcrl.version import __version__

FINALS = ("eval/time_at_goal", "eval/success_any", "eval/final_distance", "eval_sampled/time_at_goal")
THRESHOLD_SHARES = (0.1, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that has curves on the page, its label and its y limits."""

    key: str
    label: str
    low: float | None = None
    high: float | None = None


OF_METHODS = (
    Metric("survival/mean", "survival: Z(s, a), mean of the batch", 0, 1),
    Metric("survival/label", "survival: label of Z, mean of the batch", 0, 1),
    Metric("survival/loss", "survival: loss of Z (nats)", 0),
    Metric("survival/fell", "survival: trajectory falls (share of batch)", 0),
    Metric("actor/fall_share", "survival: falls within the horizon (share of batch)", 0),
    Metric("critic/hit", "time: goals reached in hindsight (share of batch)", 0, 1),
    Metric("critic/at_goal", "time: goals reached at once (share of batch)", 0, 1),
    Metric("critic/hit_at_once", "time: goals reached at once, predicted (share)", 0, 1),
    Metric("critic/steps_to_goal", "time: steps to goals reached later", 0),
    Metric("critic/steps_by_distance", "time: steps to goals reached later, by distance", 0),
    Metric("critic/hazard_loss", "time: loss of the hazards (nats)", 0),
    Metric("critic/time_loss", "time: loss of the distance", 0),
    Metric("critic/separation_loss", "time: loss of the separation", 0),
    Metric("critic/occupancy", "occupancy: time near the goal (share)", 0),
    Metric("critic/occupancy_predicted", "occupancy: time near the goal, predicted (share)", 0),
    Metric("critic/occupancy_loss", "occupancy: loss (nats)", 0),
)
"""What the methods of docs/methods.md measure beside: charts of their own, where a run has them."""
METRICS = (
    Metric(SCORE, "time at goal (steps per episode)", 0),
    Metric("eval_sampled/time_at_goal", "time at goal, sampled actions", 0),
    Metric("eval/time_at_goal_near", "time at goal, nearest third of goals", 0),
    Metric("eval/time_at_goal_middle", "time at goal, middle third", 0),
    Metric("eval/time_at_goal_far", "time at goal, farthest third", 0),
    Metric("eval/success_any", "goal reached (share of episodes)", 0, 1),
    Metric("eval/final_distance", "final distance to goal (metres)", 0),
    Metric("train/time_at_goal", "time at goal in training", 0),
    Metric("critic/categorical_accuracy", "critic accuracy (share of batch)", 0, 1),
    Metric("critic/path_solved", "ways that the critic solves (share)", 0, 1),
    Metric("critic/path_solved_far", "far ways that the critic solves (share)", 0, 1),
    Metric("critic/loss", "critic loss"),
    Metric("actor/loss", "actor loss"),
    Metric("actor/entropy", "policy entropy (nats)"),
    Metric("actor/gradient_norm", "gradient norm of the actor", 0),
    Metric("critic/gradient_norm", "gradient norm of the critic", 0),
    *OF_METHODS,
)


def content(found: Found, title: str, page_dir: Path, *, with_maps: bool = True) -> dict[str, Any]:
    """Returns the content of the page that will lie in `page_dir`, as values that JSON knows.

    Without `with_maps` no checkpoint is opened.
    """
    tasks = by_task(found.runs)
    pictures = Pictures(Films(page_dir), Maps(MAX_MAPPED if with_maps else 0))
    measured = {key for run in found.runs for row in run.rows for key in row}
    shown = [_task(task, pictures) for task in tasks]
    return {
        "title": title,
        "version": __version__,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "notes": [*found.notes, *(note for task in tasks for note in _caveats(task)), *pictures.maps.notes()],
        "method": f"interquartile mean over seeds, {CONFIDENCE:.0%} stratified bootstrap interval of {NUM_RESAMPLES}",
        "metrics": [[m.key, m.label, m.low, m.high] for m in METRICS if m.key in measured],
        "of_methods": [m.key for m in OF_METHODS if m.key in measured],
        "counters": list(COUNTERS),
        "score": [tasks[0].score, label_of(tasks[0].score)],
        "tasks": shown,
        "across": _across(tasks),
    }


def finals(score: str) -> list[str]:
    """Returns the metrics whose final values are told, that which runs are compared by first."""
    return [score, *(metric for metric in FINALS if metric != score)]


def label_of(score: str) -> str:
    """Returns what a metric that runs are compared by is called."""
    return next((m.label for m in METRICS if m.key == score), score).removesuffix(" (steps per episode)")


def _most(task: Task) -> int:
    """The score of an agent that is always at its goal; other metrics than the usual one are taken for shares."""
    return task.episode_length if task.score == SCORE else 1


def _caveats(task: Task) -> Iterable[str]:
    """What makes the numbers of a group worth less than they look."""
    if line := caveat(task):
        yield line
    for group in task.groups:
        twice = [str(seed) for seed, count in Counter(run.seed for run in group.runs).items() if count > 1]
        if twice:
            yield f"{task.name}, {group.label}: seed {', '.join(twice)} occurs more than once; intervals are too narrow"
        ends = [run.last("env_steps") for run in group.runs]
        if max(ends) > 1.05 * min(ends):
            yield f"{task.name}, {group.label}: runs end at {min(ends):,.0f} to {max(ends):,.0f} env steps"


def _task(task: Task, pictures: Pictures) -> dict[str, Any]:
    best = max(float(group.final_scores.max()) for group in task.groups)
    thresholds = [share * _most(task) for share in THRESHOLD_SHARES if share * _most(task) <= best]
    names = shortest(task.keys)
    return {
        "name": task.name,
        "episode_length": task.episode_length,
        "keys": [[key, names[key]] for key in task.keys],
        "thresholds": thresholds,
        "groups": [_group(group, task, thresholds, pictures) for group in task.groups],
        "pairs": pairs(task),
        "num_final": sorted({group.num_final for group in task.groups}),
        "published": beside(task),
    }


def _group(group: Group, task: Task, thresholds: list[float], pictures: Pictures) -> dict[str, Any]:
    first = group.runs[0]
    size = sizes(first.config)
    return {
        "label": group.label,
        "values": [_value(group.values[key]) if key in group.values else None for key in task.keys],
        "final": {metric: _estimate(group.final(metric)) for metric in finals(task.score)},
        "scores": numbers(group.final_scores),
        "parameters": size and size.parameters,
        "memory": size and size.nbytes,
        "update": size and number(size.flops_per_update),
        "flops": size and number(size.flops(*(max(run.last(c) for run in group.runs) for c in COUNTERS[:2]))),
        "reaching": [_reaching(group, threshold, size) for threshold in thresholds],
        "bands": _bands(group) if len(group.runs) > 1 else {},
        "runs": [_run(run) for run in group.runs],
        "film": pictures.films.of(group),
        "maps": pictures.maps.of(group),
        "blocks": _blocks(first),
    }


def _reaching(group: Group, threshold: float, size: Sizes | None) -> list[float | None]:
    """What it took to reach a score: the three counters, then operations."""
    counters = [group.reaching(threshold, counter) for counter in COUNTERS]
    return [*map(number, counters), size and number(size.flops(*counters[:2]))]


def _bands(group: Group) -> dict[str, list[list[list[float | None]] | None]]:
    bands = {}
    for metric in METRICS:
        over = [group.band(metric.key, counter) for counter in COUNTERS]
        bands[metric.key] = [
            None if b is None else [numbers(b.x), numbers(b.value), numbers(b.low), numbers(b.high)] for b in over
        ]
    return bands


def _run(run: RunRecord) -> dict[str, Any]:
    git, machine = (_settings(run.environment.get(key)) for key in ("git", "machine"))
    return {
        "name": run.name,
        "seed": run.seed,
        "last": [number(run.last(counter)) for counter in COUNTERS],
        "bad": run.num_bad_lines,
        "revision": str(git.get("revision", ""))[:10] + ("+" if git.get("dirty") else ""),
        "machine": f"{machine.get('cpu', '')} {machine.get('gpus') or ''}".strip(),
        "curves": _curves(run),
    }


def _settings(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _curves(run: RunRecord) -> dict[str, list[list[float | None]]]:
    """By metric: the three counters, then the value, as columns."""
    curves = {}
    for metric in METRICS:
        series = run.series(metric.key)
        if len(series["value"]):
            curves[metric.key] = [numbers(thinned(series[name])) for name in (*COUNTERS, "value")]
    return curves


def _blocks(run: RunRecord) -> dict[str, list[float | None]]:
    """By network and statistic, the last value of each block (paper, Fig. 17)."""
    blocks = last_blocks(run.rows)
    return {f"{network} {statistic}": [*map(number, values)] for (network, statistic), values in blocks.items()}


def _across(tasks: list[Task]) -> list[dict[str, Any]]:
    """Groups that every task has, best first, scored over all tasks by the share of the episode at the goal."""
    labels = [{group.label: group for group in task.groups} for task in tasks]
    shared = [label for label in labels[0] if all(label in other for other in labels)] if len(tasks) > 1 else []
    strata = {
        label: [of[label].final_scores / _most(task) for of, task in zip(labels, tasks, strict=True)]
        for label in shared
    }
    finals = {label: estimate(shares) for label, shares in strata.items()}
    return [
        {"label": label, "final": _estimate(finals[label]), "scores": numbers(np.concatenate(strata[label]))}
        for label in sorted(shared, key=lambda label: -finals[label].value)
    ]


def _value(value: Any) -> float | str:
    isnumber = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if isnumber else plain(value)


def _estimate(found: Estimate | None) -> list[float | None] | None:
    return None if found is None else [number(found.value), number(found.low), number(found.high)]
