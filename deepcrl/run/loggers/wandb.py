"""Weights & Biases."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from deepcrl.core.checks import suggest
from deepcrl.core.components import LOGGERS
from deepcrl.core.files import write_atomic
from deepcrl.run.loggers.mirror import LoggerInputs

WANDB_MODES = ("offline", "online", "disabled")


@LOGGERS.register("wandb")
class Wandb:
    """Mirrors every row to Weights & Biases; `mode=offline` needs no account (`wandb sync` uploads it later).

    The run's id is kept in `wandb_id` in the run directory, so a resumed run goes on under the same id. Rows are
    plotted over `env_steps`. Raises ValueError for an unknown mode, or if wandb refuses to start (no account).
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
        try:
            self._run = wandb.init(
                project=project,
                entity=entity or None,
                mode=mode,  # pyright: ignore[reportArgumentType]  checked above
                tags=list(tags),
                id=id_path.read_text().strip(),
                resume="allow" if mode == "online" else None,  # offline, wandb keeps the id and warns about this
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

    def log(self, row: Mapping[str, float]) -> None:
        self._run.log(dict(row))

    def close(self) -> None:
        self._run.finish()
