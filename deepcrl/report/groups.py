"""Groups runs that differ in nothing but their seed, and names the groups by what differs between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from deepcrl.core.components import REGISTRIES
from deepcrl.core.settings import flatten, split_key
from deepcrl.report.read import RunRecord
from deepcrl.run.plots import stats
from deepcrl.run.start import FREE_ON_RESUME

# Settings that say which repetition a run is (as `layout_seed`, which draws its maze, does too), where and how long it
# ran, and what it logged: runs that differ in these
# alone are of one configuration. Learners are runs of their own here, and change nothing for the agent that acts.
NOT_COMPARED = ("seed", "run_dir", "learners", "resume", "device", "num_eval_envs", *FREE_ON_RESUME)
MAX_NAMED_KEYS = 3
UNSET = "unset"
"""Of a setting that a group does not have."""


@dataclass
class Group:
    """Runs of one configuration: its seeds."""

    values: dict[str, Any]
    """What tells this group from the others of its task, by dotted key; a key that it lacks is missing."""
    runs: list[RunRecord]
    label: str = "all runs"

    @property
    def score(self) -> str:
        """The metric that it is compared by."""
        return self.runs[0].score

    @cached_property
    def final_scores(self) -> np.ndarray:
        """[R] the final score of each run."""
        return np.array([self._final(run, self.score) for run in self.runs])

    def final(self, metric: str) -> stats.Estimate | None:
        """Returns the IQM over runs of a metric's final value, None if a run never measured it."""
        if any(not len(run.series(metric)["value"]) for run in self.runs):
            return None
        return stats.estimate([np.array([self._final(run, metric) for run in self.runs])])

    def _final(self, run: RunRecord, metric: str) -> float:
        series = run.series(metric)
        return stats.final_score(series["grad_steps"], series["value"])

    @cached_property
    def num_final(self) -> int:
        """How many evaluations make a final score, in the run that has fewest."""
        series = [run.series(self.score) for run in self.runs]
        return min(len(stats.final_evaluations(one["grad_steps"], one["value"])) for one in series)

    def band(self, metric: str, counter: str) -> stats.Band | None:
        """Returns the group's curve of `metric` over `counter`, None if a run never measured it."""
        series = [run.series(metric) for run in self.runs]
        if any(not len(one["value"]) for one in series):
            return None
        return stats.band([(stats.thinned(one[counter]), stats.thinned(one["value"])) for one in series])

    def reaching(self, threshold: float, counter: str) -> float | None:
        """Returns the median over runs of the counter at the first evaluation of that score.

        None if fewer than half of them get there.
        """
        series = [run.series(self.score) for run in self.runs]
        reached = [stats.first_reaching(one[counter], one["value"], threshold) for one in series]
        median = float(np.median([np.inf if x is None else x for x in reached]))
        return median if np.isfinite(median) else None


@dataclass
class Task:
    """All runs that are scored in one environment."""

    name: str
    keys: list[str]
    """The settings, dotted, that differ between groups."""
    groups: list[Group]

    @property
    def runs(self) -> list[RunRecord]:
        return [run for group in self.groups for run in group.runs]

    @property
    def score(self) -> str:
        """The metric that its configurations are compared by."""
        return self.groups[0].score

    @property
    def episode_length(self) -> int:
        return max(int(run.config.get("episode_length", 1000)) for run in self.runs)


def by_task(runs: Iterable[RunRecord]) -> list[Task]:
    """Splits runs by the environment that scores them, and each part into groups."""
    tasks: dict[str, list[RunRecord]] = {}
    for run in runs:
        tasks.setdefault(run.task, []).append(run)
    return [_task(name, members) for name, members in sorted(tasks.items())]


def _task(name: str, runs: list[RunRecord]) -> Task:
    flat = {id(run): compared(run.config) for run in runs}
    keys = differing(list(flat.values()))
    groups: dict[str, Group] = {}
    for run in runs:
        values = {key: flat[id(run)][key] for key in keys if key in flat[id(run)]}
        groups.setdefault(repr(values), Group(values, [])).runs.append(run)
    for group, label in zip(groups.values(), _labels(list(groups.values()), shortest(keys)), strict=True):
        group.runs.sort(key=lambda run: (run.seed, str(run.path)))
        group.label = label
    return Task(name, keys, sorted(groups.values(), key=lambda group: [_order(group.values.get(key)) for key in keys]))


def _labels(groups: list[Group], names: dict[str, str]) -> list[str]:
    """Names each group by its values; where much differs, only by those that are not the most common ones.

    The group of the most common values is then named by all of them. No two groups get the same name.
    """
    values = [{key: plain(group.values[key]) if key in group.values else UNSET for key in names} for group in groups]
    if len(names) <= MAX_NAMED_KEYS:
        telling = [{key: value for key, value in own.items() if value != UNSET} for own in values]
    else:
        usual = {key: Counter(own[key] for own in values).most_common(1)[0][0] for key in names}
        telling = [{key: value for key, value in own.items() if value != usual[key]} or own for own in values]
    return [", ".join(f"{names[key]}={value}" for key, value in items.items()) or "all runs" for items in telling]


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then everything else by its spelling; a missing value comes first."""
    if value is None:
        return (0, 0.0, "")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (1, float(value), "") if is_number else (2, 0.0, str(value))


def compared(config: dict[str, Any]) -> dict[str, Any]:
    """Flattens a config into dotted keys, without what is not compared; `loss.name` becomes `loss`."""
    left_out = (*NOT_COMPARED, *(("eval_env",) if config.get("eval_env") in (None, config["env"]) else ()))
    flat = flatten({key: value for key, value in config.items() if key not in left_out}, levels=2)
    return {key.removesuffix(".name"): value for key, value in flat.items() if not key.endswith(".layout_seed")}


def differing(configs: list[dict[str, Any]]) -> list[str]:
    """Returns the keys that have more than one value.

    A key that some configs lack does not differ by that alone: they chose another component, which its name says, or
    are older than the setting. Nor does a setting that is everywhere its own component's default.
    """
    values: dict[str, set[str]] = {}
    for config in configs:
        for key, value in config.items():
            values.setdefault(key, set()).add(repr(value))
    several = [key for key, seen in values.items() if len(seen) > 1]
    return [key for key in several if not all(_is_default(key, config) for config in configs if key in config)]


def _is_default(key: str, config: dict[str, Any]) -> bool:
    """Whether `loss.coef`, say, is what this version's component of the name in `loss` has by default."""
    group, setting = split_key(key)
    name = str(config.get(group))
    for registry in REGISTRIES.values():
        if group in registry.groups and name in registry:
            return registry.defaults(name).get(setting) == config[key]
    return False


def shortest(keys: list[str]) -> dict[str, str]:
    """Returns the last part of each dotted key, or the whole key where that would be ambiguous."""
    leaves = [key.rpartition(".")[2] for key in keys]
    return {key: leaf if leaves.count(leaf) == 1 else key for key, leaf in zip(keys, leaves, strict=True)}


def plain(value: Any) -> str:
    """Spells a value as its YAML does."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
