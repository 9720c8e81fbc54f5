"""Scores that others published, to be shown beside ours where task, method and depth are the same.

One file per study, in `assets/published`. A study names its methods by the settings of our agents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from deepcrl.core.components import AGENTS, ENVS

STUDIES = ("paper", "chronosrl")
EPISODE_LENGTH = 1000
"""Of which all scores are the steps at the goal."""
NETWORKS = ("encoder", "actor_encoder", "critic_encoder", "sa_encoder", "goal_encoder")
SLACK = 0.01
"""Of env steps: ours come in whole unrolls."""
_DIRECTORY = Path(__file__).parents[1] / "assets" / "published"


@dataclass(frozen=True, slots=True)
class Study:
    """Where scores come from."""

    name: str
    title: str
    """Of the table that has them beside ours."""
    simulator: str
    source: str
    """Authors, title, year, and what is measured how often."""
    num_seeds: int


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """What a study reports for a method in a task: time at goal, by depth of all networks."""

    study: Study
    method: str
    agent: dict[str, Any]
    """The settings of our agent that make it this method."""
    env_steps: int
    """The budget that the scores are for."""
    scores: dict[int, tuple[float, ...]]
    """Depth -> mean at the end, and its standard error over seeds, or else the lowest and the highest seed."""
    curves: dict[int, tuple[np.ndarray, np.ndarray]]
    """Depth -> env steps [P] and mean score [P]; a depth or all may be missing, and the end of one."""

    def at(self, depth: int, env_steps: float) -> float | None:
        """Returns the mean score after that many env steps, None outside of what is reported."""
        if depth not in self.curves:
            return None
        steps, score = self.curves[depth]
        inside = (1 - SLACK) * steps[0] <= env_steps <= (1 + SLACK) * steps[-1]
        return float(np.interp(env_steps, steps, score)) if inside else None

    def interval(self, depth: int) -> tuple[float, float, float]:
        """Returns the mean and the ends of what is reported of its spread."""
        mean, *spread = self.scores[depth]
        low, high = spread if len(spread) == 2 else (mean - spread[0], mean + spread[0])
        return mean, low, high

    def goes_to_the_end(self, depth: int) -> bool:
        """Whether the curve of that depth ends where the scores are measured."""
        return depth in self.curves and bool(self.curves[depth][0][-1] >= self.env_steps)

    def is_method_of(self, agent: dict[str, Any]) -> bool:
        """Whether an agent's settings make this method; others, such as learning rates, may differ."""
        name = self.agent["name"]
        return agent.get("name") == name and self.agent.items() <= (AGENTS.defaults(name) | agent).items()


@dataclass(frozen=True, slots=True)
class Match:
    """What is published of a run's task, method and depth."""

    published: Published
    depth: int


def matches(config: dict[str, Any]) -> list[Match]:
    """Returns what each study has that ran the same, one at most; nothing if the task was changed or learned offline.

    Same are the task that scores a run, its method and the depth of all its networks, which have to be residual.
    """
    env, agent, depth = config.get("eval_env") or config["env"], _settings(config.get("agent")), _depth(config)
    name = env["name"]
    unchanged = name in ENVS and env.items() <= ENVS.defaults(name).items()
    offline = _settings(config.get("buffer")).get("name") == "dataset"
    if not unchanged or offline or config.get("episode_length", EPISODE_LENGTH) != EPISODE_LENGTH:
        return []
    found = [entry for study in STUDIES for entry in _read(study).get(name, []) if entry.is_method_of(agent)]
    return [Match(entry, depth) for entry in found if depth in entry.scores]


@cache
def _read(study: str) -> dict[str, list[Published]]:
    """Returns a study's methods by the environment that scores them."""
    data = json.loads((_DIRECTORY / f"{study}.json").read_text(encoding="utf-8"))
    about = Study(*(data[key] for key in ("name", "title", "simulator", "source", "num_seeds")))
    return {task["eval_env"]: list(_methods(about, data, task)) for task in data["tasks"].values()}


def _methods(study: Study, data: dict[str, Any], task: dict[str, Any]) -> Iterator[Published]:
    for name, scores in task["scores"].items():
        method = data["methods"][name]
        own = {key: task["agent"].get(key, value) for key, value in method["agent"].items()}
        by_depth = {int(depth): tuple(score) for depth, score in scores.items()}
        shares = np.array(data["shares"]) * task["env_steps"]
        curves = {int(depth): _measured(shares, curve) for depth, curve in task["curves"].get(name, {}).items()}
        yield Published(study, method["label"], own, task["env_steps"], by_depth, curves)


def _measured(steps: np.ndarray, curve: list[float | None]) -> tuple[np.ndarray, np.ndarray]:
    score = np.array(curve, float)
    return steps[np.isfinite(score)], score[np.isfinite(score)]


def _depth(config: dict[str, Any]) -> int | None:
    """The depth of all networks, None if they are not all residual and equally deep."""
    networks = [_settings(config[key]) for key in NETWORKS if config.get(key)]
    depths = [network.get("depth") for network in networks if network.get("name") == "residual_mlp"]
    same = len(depths) == len(networks) and all(type(depth) is int and depth == depths[0] for depth in depths)
    return depths[0] if depths and same else None


def _settings(value: Any) -> dict[str, Any]:
    """Returns a group of settings, none where a damaged file has something else."""
    return value if isinstance(value, dict) else {}
