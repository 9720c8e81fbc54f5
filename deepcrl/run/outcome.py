"""What came of a run, from the files in its directory alone."""

from __future__ import annotations

from deepcrl.run import checkpoint
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import read_rows
from deepcrl.train.schedule import Schedule


def final_score(run: RunDir, schedule: Schedule) -> float | None:
    """Returns the last time_at_goal of a run that has come to the end of `schedule`, None for any other.

    The end is on disk twice, as a row of metrics with an evaluation and as a checkpoint: a run that was stopped
    between the two is not complete.
    """
    end = (schedule.total_env_steps, schedule.total_grad_steps)
    saved = checkpoint.list_checkpoints(run.checkpoints_dir)
    if not saved or checkpoint.counters(saved[-1]) < end or not run.metrics_path.exists():
        return None
    rows, _ = read_rows(run.metrics_path)
    if not rows or (rows[-1]["env_steps"], rows[-1]["grad_steps"]) < end:
        return None
    return rows[-1].get("eval/time_at_goal")
