"""What the training loop records: rows of metrics, checkpoints, and the state of a run that went wrong."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console as RichConsole

from deepcrl.core.components import LOGGERS
from deepcrl.core.contract.build import checked_build
from deepcrl.run import checkpoint
from deepcrl.run.checkpoint import Checkpoint
from deepcrl.run.console import Console, print_line
from deepcrl.run.directory import RunDir
from deepcrl.run.environment import git_revision, run_id_of
from deepcrl.run.hints import setting
from deepcrl.run.loggers.mirror import Logger, LoggerInputs, Tolerant
from deepcrl.run.metrics import JsonlLogger, mark
from deepcrl.training.config import RunConfig
from deepcrl.training.run import Run
from deepcrl.training.schedule import Schedule


class RecordError(RuntimeError):
    """The results of a run cannot be written; the message is one line."""


class RunRecorder:
    """Writes rows to every logger and checkpoints to the run directory; a `training.loop.Recorder`."""

    def __init__(self, config: RunConfig, directory: RunDir, loggers: list[Logger]) -> None:
        self._config, self._directory, self._loggers = config, directory, loggers
        self._git = git_revision(Path(__file__).parent)

    def log(self, row: dict[str, float]) -> None:
        """Hands the row to every logger; RecordError if the disk refuses it."""
        try:
            for logger in self._loggers:
                logger.log(row)
        except OSError as error:
            where = self._directory.metrics_path
            reason = error.strerror or error
            raise RecordError(f"Cannot write metrics to {where}: {reason}{resume_hint(self._directory)}") from error

    def save(self, run: Run) -> None:
        """Writes a checkpoint, and removes all but the newest ones."""
        self._save(run, self._directory.checkpoints_dir)

    def dump(self, run: Run) -> str:
        """Writes the state of a run that went wrong apart from its checkpoints; returns where."""
        return str(self._save(run, self._directory.path / "nan_dump").path)

    def close(self) -> list[str]:
        """Closes every logger, whatever one of them raises; returns a line for each that did not close.

        By then the run is on disk, or a more important error is on its way.
        """
        complaints = []
        for logger in self._loggers:
            try:
                logger.close()
            except OSError:  # a full disk has been reported by `log`
                pass
            except Exception as error:
                name = type(logger.mirror if isinstance(logger, Tolerant) else logger).__name__
                complaints.append(f"{name} did not close: {' '.join(str(error).split())}")
        return complaints

    def _save(self, run: Run, directory: Path) -> Checkpoint:
        content = {"config": self._config.to_dict(), "git": self._git, "run": run.state_dict()}
        rows = mark(self._directory.metrics_path)
        content |= {"run_id": run_id_of(self._directory.path), "num_rows": rows.num_rows, "rows_sha256": rows.sha256}
        counters = {"env_steps": run.progress.env_steps, "grad_steps": run.progress.grad_steps}
        return checkpoint.save(directory, content, **counters, keep=self._config.keep_checkpoints)


def build_mirror(config: RunConfig, directory: RunDir) -> Logger:
    """Builds the logger that the user chose to have beside metrics.jsonl; ValueError for a setting of it."""
    return checked_build(LOGGERS, config.logger, LoggerInputs(directory.path, directory.path.name, config.to_dict()))


def open_loggers(config: RunConfig, directory: RunDir, mirror: Logger, terminal: RichConsole) -> list[Logger]:
    """Opens metrics.jsonl, which goes before all others, and the view for people."""
    schedule, title = Schedule.of(config), config.env["name"]
    console = Console(schedule.total_steps, counter=schedule.counter, title=title, console=terminal)
    loggers = [Tolerant(logger, lambda line: print_line(terminal, line)) for logger in (mirror, console)]
    return [JsonlLogger(directory.metrics_path), *loggers]


def resume_hint(directory: RunDir) -> str:
    """Returns the end of an error message: from where the run can be resumed."""
    kept = checkpoint.list_checkpoints(directory.checkpoints_dir)
    if not kept:
        return f"; start it anew with {setting('resume', directory.path)}"
    return f"; go on from the last checkpoint with {setting('resume', kept[-1].path)}"
