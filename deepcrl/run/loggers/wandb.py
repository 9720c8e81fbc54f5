"""Weights & Biases."""

from __future__ import annotations

import json
import operator
import uuid
from collections.abc import Mapping
from pathlib import Path

from deepcrl.core.checks import suggest
from deepcrl.core.components import LOGGERS
from deepcrl.core.files import write_atomic
from deepcrl.run.loggers.mirror import LoggerInputs

WANDB_MODES = ("offline", "online", "disabled")


@LOGGERS.register("wandb")
class Wandb:
    """Mirrors every row to Weights & Biases; `mode=offline` needs no account (`wandb sync` uploads it later).

    The run's id is kept in `wandb_id` in the run directory, so a resumed run goes on under the same id; how far it has
    been logged is kept in `wandb_logged.json`, so that rows which are computed again are not logged again, and steps go
    on counting: each offline file adds to those before it. Rows are plotted over `env_steps`.

    Raises ValueError for an unknown mode, or if wandb refuses to start (no account).
    """

    def __init__(
        self,
        inputs: LoggerInputs,
        *,
        project: str = "deepcrl",
        mode: str = "offline",
        entity: str = "",
        tags: tuple[str, ...] = (),
    ) -> None:
        if mode not in WANDB_MODES:
            raise ValueError(suggest("logger.mode of wandb", mode, WANDB_MODES))
        import wandb

        id_path = inputs.run_dir / "wandb_id"
        if not id_path.exists():
            write_atomic(id_path, uuid.uuid4().hex[:12])
        self._logged_path = inputs.run_dir / "wandb_logged.json"
        num_rows, *self._last = _read(self._logged_path)
        try:
            self._run = wandb.init(
                project=project,
                entity=entity or None,
                mode=mode,  # pyright: ignore[reportArgumentType]  checked above
                tags=list(tags),
                id=id_path.read_text().strip(),
                resume="allow",
                name=inputs.name,
                dir=inputs.run_dir,
                config=inputs.config,
                # wandb would wrap stdout, which the live console already does, and chat in the middle of it.
                settings=wandb.Settings(console="off", silent=True),
            )
        except wandb.Error as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"wandb does not start: {reason} (logger.mode=offline needs no account)") from error
        self._run.define_metric("*", step_metric="env_steps")
        self._num_rows = max(num_rows, self._run.step)  # online, wandb knows it of runs older than the file, too

    def log(self, row: Mapping[str, float]) -> None:
        """Logs a row, unless it has been logged before the run was resumed."""
        counters = [int(row["env_steps"]), int(row["grad_steps"])]
        if all(map(operator.le, counters, self._last)):
            return
        self._run.log(dict(row), step=self._num_rows)
        self._num_rows, self._last = self._num_rows + 1, counters
        if not self._run.disabled:
            write_atomic(self._logged_path, json.dumps([self._num_rows, *counters]))

    def close(self) -> None:
        self._run.finish()


def _read(path: Path) -> tuple[int, int, int]:
    """Returns how many rows have been logged, and the counters of the last one; before the first, these are -1."""
    try:
        num_rows, env_steps, grad_steps = map(int, json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return 0, -1, -1
    return num_rows, env_steps, grad_steps
