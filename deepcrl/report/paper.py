"""The paper's own numbers, to be shown beside ours where the task is the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_FILE = Path(__file__).parent / "assets" / "paper.json"


@dataclass(frozen=True, slots=True)
class PaperTask:
    """What the paper reports for a task: time at goal, by depth of all networks."""

    env_steps: int
    """The budget that the scores are for."""
    scores: dict[int, tuple[float, float]]
    """Depth -> mean and standard error over seeds, at the end."""
    curves: dict[int, tuple[np.ndarray, np.ndarray]]
    """Depth -> env steps [P] and mean score [P]."""

    def at(self, depth: int, env_steps: float) -> float | None:
        """Returns the paper's mean score after that many env steps, None outside of what it reports."""
        steps, score = self.curves[depth]
        return float(np.interp(env_steps, steps, score)) if steps[0] <= env_steps <= steps[-1] else None


@cache
def _data() -> dict[str, Any]:
    return json.loads(_FILE.read_text())


def source() -> str:
    return _data()["source"]


def paper_task(eval_env: str) -> PaperTask | None:
    """Returns the paper's results for the environment that scores a run, None if it has none."""
    shares = np.array(_data()["shares"])
    for task in _data()["tasks"].values():
        if task["eval_env"] == eval_env:
            return PaperTask(
                task["env_steps"],
                {int(depth): tuple(score) for depth, score in task["scores"].items()},
                {int(depth): (shares * task["env_steps"], np.array(c)) for depth, c in task["curves"].items()},
            )
    return None
