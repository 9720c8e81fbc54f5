"""A run on disk: the directory, loggers and checkpoints around the loop, from the first check to the last picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.table import Table

from deepcrl.core import checkpoint, loggers, run_dir
from deepcrl.core.build import build_run, env_spec
from deepcrl.core.components import LOGGERS
from deepcrl.core.config import RunConfig, Schedule, select_device
from deepcrl.core.console import Console
from deepcrl.core.interrupt import Interrupt
from deepcrl.core.loop import Run, fit
from deepcrl.core.plots import plot_run
from deepcrl.core.preflight import preflight


class Session:
    """Opens a run directory, trains in it, and leaves it complete. It is the loop's Recorder.

    `saved` is the state of a checkpoint to go on from. Construction checks everything that can be checked, cheap
    things first, and raises ValueError before the run directory is touched if the run cannot work.
    """

    def __init__(self, config: RunConfig, saved: dict[str, Any] | None) -> None:
        device, spec = select_device(config.device), env_spec(config)
        sizes = preflight(config, spec, device)
        sizes.check()
        self.config, self.score = config, None
        self._dir = run_dir.prepare(config.run_dir, config.to_dict(), resume=saved is not None)
        self._git = run_dir.git_revision(Path(__file__).parent)
        self._terminal = RichConsole(highlight=False)
        self._print_table([("run", str(self._dir.path)), ("device", str(device)), *sizes.rows()])
        self.model = build_run(config)
        if saved is not None:
            self.model.load_state_dict(saved["run"])
            done = self.model.progress
            loggers.truncate_after(self._dir.metrics_path, done.env_steps, done.grad_steps)
        self._open_logs(Schedule.of(config).total_env_steps)

    def _open_logs(self, total_env_steps: int) -> None:
        info = loggers.RunInfo(self._dir.path, self._dir.path.name, self.config.to_dict())
        self._logs: list[loggers.Logger] = [
            loggers.JsonlLogger(self._dir.metrics_path),
            LOGGERS.build(self.config.logger, info),
            Console(total_env_steps, title=self.config.env["name"], console=self._terminal),
        ]

    def _print_table(self, rows: list[tuple[str, str]]) -> None:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in rows:
            table.add_row(f"[bold]{name}", value)
        self._terminal.print(table)

    def run(self) -> float | None:
        """Trains to the end of the schedule, or until a signal; returns the last time_at_goal.

        After SIGINT or SIGTERM the run is saved and SystemExit carries 128 + the signal's number.
        """
        with Interrupt() as interrupt:
            try:
                fit(self.model, self, interrupt)
            finally:
                for log in self._logs:
                    log.close()
        if interrupt.signal_number is not None:
            self._terminal.print(f"Saved. Go on with: deepcrl train resume={self._dir.path}")
            raise SystemExit(128 + interrupt.signal_number)
        pictures = plot_run(self._dir.path)
        self._terminal.print(f"Done: {self._dir.path}  ({', '.join(path.name for path in pictures)})")
        return self.score

    def log(self, row: dict[str, float]) -> None:
        self.score = row.get("eval/time_at_goal", self.score)
        for log in self._logs:
            log.log(row)

    def save(self, run: Run) -> None:
        self._save(run, self._dir.checkpoints_dir)

    def dump(self, run: Run) -> str:
        return str(self._save(run, self._dir.path / "nan_dump"))

    def _save(self, run: Run, directory: Path) -> Path:
        state = {"config": self.config.to_dict(), "git": self._git, "run": run.state_dict()}
        counters = {"env_steps": run.progress.env_steps, "grad_steps": run.progress.grad_steps}
        return checkpoint.save(directory, state, **counters, keep=self.config.keep_checkpoints)
