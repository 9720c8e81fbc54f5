"""What a run has left, to be looked at in Python."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from deepcrl.api.policy import Policy, load
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import read_rows
from deepcrl.run.plots import stats
from deepcrl.training.schedule import counter_of


@dataclass(frozen=True)
class Result:
    """A run on disk."""

    run_dir: Path

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """The rows of metrics, oldest first; `pandas.DataFrame(result.rows)` makes a table of them."""
        return read_rows(RunDir(self.run_dir).metrics_path)[0]

    @property
    def score(self) -> float:
        """The mean of the last five evaluations' `eval/time_at_goal`; NaN before the first evaluation."""
        steps, values = self._measured("eval/time_at_goal", "grad_steps")
        return stats.final_score(steps, values) if len(values) else float("nan")

    def curve(self, metric: str = "eval/time_at_goal") -> tuple[np.ndarray, np.ndarray]:
        """Returns the steps [R], of the environments or offline of the optimiser, and the metric [R] where measured."""
        return self._measured(metric, counter_of(self.rows))

    def policy(self) -> Policy:
        """Loads the policy of the newest checkpoint."""
        return load(self.run_dir)

    def _measured(self, metric: str, counter: str) -> tuple[np.ndarray, np.ndarray]:
        rows = [row for row in self.rows if metric in row]
        return np.array([row[counter] for row in rows]), np.array([row[metric] for row in rows])
