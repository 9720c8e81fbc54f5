"""A run on disk: the directory, loggers and checkpoints around the loop, from the first check to the last picture."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.table import Table

from deepcrl.core.components import LOGGERS
from deepcrl.run import checkpoint, directory
from deepcrl.run.console import Console
from deepcrl.run.environment import git_revision
from deepcrl.run.film import film, policy_of
from deepcrl.run.lock import NAME as LOCK
from deepcrl.run.lock import lock
from deepcrl.run.loggers.mirror import Logger, LoggerInputs
from deepcrl.run.metrics import JsonlLogger, truncate_after
from deepcrl.run.plots.blocks import plot_blocks
from deepcrl.run.plots.curves import plot_run
from deepcrl.train.build import build_run, env_spec
from deepcrl.train.config import RunConfig
from deepcrl.train.interrupt import Interrupt
from deepcrl.train.loop import fit
from deepcrl.train.run import Run
from deepcrl.train.schedule import Schedule
from deepcrl.train.sizing.table import preflight
from deepcrl.train.validate import select_device


class RecordError(RuntimeError):
    """The results of a run cannot be written; the message is one line."""


class Session:
    """Opens a run directory, trains in it, and leaves it complete. It is the loop's Recorder.

    `saved` is the state of the checkpoint `origin` to go on from. Construction checks everything that can be checked,
    cheap things first, and raises ValueError if the run cannot work; the disk is then as it was.
    """

    def __init__(self, config: RunConfig, saved: dict[str, Any] | None = None, origin: Path | None = None) -> None:
        device, spec = select_device(config.device), env_spec(config)
        sizes = preflight(config, spec, device)
        sizes.check()
        self.config, self.score = config, None
        self._terminal = RichConsole(highlight=False)
        self._git = git_revision(Path(__file__).parent)
        table = [("run", "", config.run_dir), ("device", "", str(device)), *sizes.rows()]
        if saved is None:
            self._start(table)
        else:
            self._go_on(table, saved, origin)

    def _start(self, table: list[tuple[str, str, str]]) -> None:
        is_ours = not Path(self.config.run_dir).exists()
        self._dir = directory.prepare(self.config.run_dir, self.config.to_dict(), resume=False)
        self._lock = lock(self._dir.path)
        try:
            self._print_table(table)
            self.model = build_run(self.config, self._dir.unstable_dir)
            self._logs = self._open_logs(self._mirror())
        except BaseException:
            self._lock.close()
            discard(self._dir, is_ours)
            raise

    def _go_on(self, table: list[tuple[str, str, str]], saved: dict[str, Any], origin: Path | None) -> None:
        self._lock = lock(Path(self.config.run_dir))
        self._dir = directory.RunDir(Path(self.config.run_dir))
        self.model = build_run(self.config, self._dir.unstable_dir)
        with checkpoint.fitting(origin or self.config.run_dir):
            self.model.load_state_dict(saved["run"])
        mirror = None if self.model.finished else self._mirror()
        # From here on the directory changes: what is later than the checkpoint is computed again
        directory.prepare(self.config.run_dir, self.config.to_dict(), resume=True)
        self._print_table(table)
        done = self.model.progress
        truncate_after(self._dir.metrics_path, done.env_steps, done.grad_steps)
        for path in checkpoint.set_aside_after(origin) if origin else ():
            self._say(f"A newer checkpoint is set aside: {path}")
        self._logs = [] if mirror is None else self._open_logs(mirror)

    def _mirror(self) -> Logger:
        inputs = LoggerInputs(self._dir.path, self._dir.path.name, self.config.to_dict())
        return LOGGERS.build(self.config.logger, inputs)

    def _open_logs(self, mirror: Logger) -> list[Logger]:
        schedule, title = Schedule.of(self.config), self.config.env["name"]
        console = Console(schedule.total_steps, counter=schedule.counter, title=title, console=self._terminal)
        return [JsonlLogger(self._dir.metrics_path), mirror, console]

    def _print_table(self, rows: list[tuple[str, str, str]]) -> None:
        """Prints (name, number, text): numbers under each other; a row without a number is a line of its own."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")
        for name, number, text in rows:
            if name and not number:
                self._say(f"{name:<16}{text}")
            else:
                table.add_row(name, number, text)
        self._terminal.print(table)

    def _say(self, line: str) -> None:
        # Unwrapped and without markup: a path is to be copied
        self._terminal.print(line, soft_wrap=True, markup=False)

    def run(self) -> float | None:
        """Trains to the end of the schedule, or until a signal; returns the last time_at_goal.

        After SIGINT or SIGTERM the run is saved and SystemExit carries 128 + the signal's number.
        """
        with self._lock:
            return self._run()

    def _run(self) -> float | None:
        if self.model.finished:
            total = f"total_{self.model.schedule.counter}"
            self._say(f"Already finished: {self._dir.path} (a larger {total} would go on)")
            return None
        go_on = f"deepcrl train resume={self._dir.path}"
        self._say(f"Ctrl-C saves and stops; go on with: {go_on}")
        with Interrupt() as interrupt:
            try:
                fit(self.model, self, interrupt)
            except OSError as error:  # a buffer that keeps files found no room for them
                raise RecordError(f"{error}{self._way_on()}") from error
            finally:
                self._close_logs()
        try:
            self._draw(with_video=self.config.video and interrupt.signal_number is None)
        except KeyboardInterrupt:  # a film may take long, and everything else is on disk
            self._say(f"Stopped while drawing; the run is saved: {self._dir.path}")
            raise SystemExit(128 + signal.SIGINT) from None
        self._tell_of_unstable()
        if interrupt.signal_number is not None:
            self._say(f"Saved. Go on with: {go_on}")
            raise SystemExit(128 + interrupt.signal_number)
        self._say(f"Done: {self._dir.path}")
        return self.score

    def _tell_of_unstable(self) -> None:
        count = sum(envs.num_unstable for envs in (self.model.envs, self.model.eval_envs) if envs)
        if count:
            self._say(f"Unstable simulations, reset and not trained on: {count}; see {self._dir.unstable_dir}")

    def _close_logs(self) -> None:
        """Closes them all, whatever one of them says: the run is on disk, or a more important error is on its way."""
        for log in self._logs:
            try:
                log.close()
            except OSError:  # a full disk has been reported by `log`
                pass
            except Exception as error:
                self._say(f"{type(log).__name__} did not close: {' '.join(str(error).split())}")

    def _draw(self, *, with_video: bool) -> None:
        try:
            pictures = plot_run(self._dir.path)
            blocks = plot_blocks({"": self._dir.path}, self._dir.plots_dir / "blocks.png")
            pictures += [blocks] if blocks else []
            if with_video:
                pictures += self._film()
        except OSError as error:
            raise RecordError(f"The run is saved, but its pictures are not: {error}") from error
        self._say("\n".join(map(str, pictures)))

    def _film(self) -> list[Path]:
        name = f"{self.config.evaluation_env['name']}_{self.model.steps}.mp4"
        try:
            return film(policy_of(self.model.agent), self.config, self._dir.videos_dir / name)
        except RuntimeError as error:
            self._say(f"No video: {error}")
            return []

    def log(self, row: dict[str, float]) -> None:
        self.score = row.get("eval/time_at_goal", self.score)
        try:
            for log in self._logs:
                log.log(row)
        except OSError as error:
            where = self._dir.metrics_path
            raise RecordError(f"Cannot write metrics to {where}: {error.strerror or error}{self._way_on()}") from error

    def _way_on(self) -> str:
        kept = checkpoint.list_checkpoints(self._dir.checkpoints_dir)
        return f"; go on from the last checkpoint with resume={kept[-1]}" if kept else ""

    def save(self, run: Run) -> None:
        self._save(run, self._dir.checkpoints_dir)

    def dump(self, run: Run) -> str:
        return str(self._save(run, self._dir.path / "nan_dump"))

    def _save(self, run: Run, directory: Path) -> Path:
        state = {"config": self.config.to_dict(), "git": self._git, "run": run.state_dict()}
        counters = {"env_steps": run.progress.env_steps, "grad_steps": run.progress.grad_steps}
        return checkpoint.save(directory, state, **counters, keep=self.config.keep_checkpoints)


def discard(run: directory.RunDir, is_ours: bool) -> None:
    """Removes a run directory that never became a run; of one that existed before, only what was put there."""
    if is_ours:
        shutil.rmtree(run.path, ignore_errors=True)
    for file in (run.config_path, run.environment_path, run.metrics_path, run.path / LOCK):
        file.unlink(missing_ok=True)
