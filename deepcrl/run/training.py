"""One run on disk, from the first check to the last picture."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import torch
from rich.console import Console as RichConsole

from deepcrl.core.types import EnvError
from deepcrl.kernels import dispatch
from deepcrl.run import directory as run_directory
from deepcrl.run.checkpoint import CheckpointError, fitting, set_aside_after
from deepcrl.run.console import Terminal, print_line, print_table
from deepcrl.run.directory import RunDir
from deepcrl.run.hints import setting
from deepcrl.run.lock import lock
from deepcrl.run.metrics import cut_back
from deepcrl.run.plots.blocks import plot_blocks
from deepcrl.run.plots.curves import plot_run
from deepcrl.run.plots.film import check_film, film
from deepcrl.run.policy import policy_of
from deepcrl.run.recorder import RecordError, RunRecorder, build_mirror, open_loggers, resume_hint
from deepcrl.run.start import Start, StartError, final_score
from deepcrl.training.build import build_run, env_spec
from deepcrl.training.config import RunConfig
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import fit
from deepcrl.training.run import Run
from deepcrl.training.sizing.table import preflight
from deepcrl.training.validate import select_device


def train_run(start: Start, interrupt: Interrupt | None = None) -> float | None:
    """Trains a run to the end of its schedule, or until `interrupt` asks to stop; returns its score.

    Raises StartError or CheckpointError, and leaves the disk as it was, if the run cannot work. After a signal the run
    is saved and SystemExit carries 128 + the signal's number.
    """
    terminal, directory = Terminal(highlight=False), start.directory
    if start.score is not None and not _undrawn(start):
        print_line(terminal, f"Already complete: {directory.path}")
        return start.score
    interrupt = interrupt or Interrupt()
    run, recorder, held = _open(start, terminal)
    with held, interrupt:
        if run.finished and _undrawn(start):  # it was killed while drawing
            lines = _draw(run, directory, interrupt, terminal, with_video=run.config.video)
            print_line(terminal, "\n".join(lines))
            print_line(terminal, f"Done: {directory.path}")
            return start.score
        if run.finished:
            total = f"total_{run.schedule.counter}"
            print_line(terminal, f"Already finished: {directory.path} (a larger {total} would go on)")
            return None
        command = f"deepcrl train {setting('resume', directory.path)}"
        print_line(terminal, f"Ctrl-C saves and stops; go on with: {command}")
        stopped_by = _fit(run, recorder, directory, interrupt, terminal)
        lines = _draw(run, directory, interrupt, terminal, with_video=run.config.video and stopped_by is None)
        print_line(terminal, "\n".join([*lines, *_unstable(run, directory)]))
        if stopped_by is not None:
            print_line(terminal, f"Saved. Go on with: {command}")
            raise SystemExit(128 + stopped_by)
        print_line(terminal, f"Done: {directory.path}")
    return final_score(directory, run.config)


def _open(start: Start, terminal: RichConsole) -> tuple[Run, RunRecorder, IO[str]]:
    """Checks the run, locks its directory, builds it and opens its files; returns the lock last."""
    config, directory = start.config, start.directory
    try:
        device = select_device(config.device)
        check_film(config)
        sizes = preflight(config, env_spec(config), device)
        sizes.check()
        with ExitStack() as undo:
            is_new = run_directory.create(directory)
            held = undo.enter_context(lock(directory.path))
            start.check_unchanged()  # now that no other process writes here
            if start.checkpoint is None and not start.anew:
                undo.callback(run_directory.discard, directory, is_new=is_new)
            names = [("run", "", config.run_dir), ("device", "", str(device)), *_precision_row(config, device)]
            print_table(terminal, [*names, *sizes.rows()])
            run = _build(start)
            recorder = _open_recorder(start, run, terminal)
            undo.pop_all()
        return run, recorder, held
    except CheckpointError:
        raise
    except (ValueError, OSError) as error:  # until here they speak of what the user asked for; later it is a bug
        raise StartError(str(error)) from error


def _precision_row(config: RunConfig, device: torch.device) -> list[tuple[str, str, str]]:
    """Returns a row of the table before a run where the setting leaves the precision open, or costs time."""
    fast = dispatch.bf16_is_fast(device)
    if config.precision == "auto":
        why = f"{device} multiplies it fastest" if fast else f"{device} has no instructions for bf16"
        return [("precision", dispatch.precision("auto", device), f"of auto: {why}")]
    if config.precision == "bf16" and not fast:
        return [("precision", "bf16", f"no faster than fp32: {device} has no instructions for it")]
    return []


def _build(start: Start) -> Run:
    run = build_run(start.config, start.directory.unstable_dir)
    if start.checkpoint:
        state = start.checkpoint.state
        with fitting(start.checkpoint.path):
            run.load_state_dict(state)
    return run


def _open_recorder(start: Start, run: Run, terminal: RichConsole) -> RunRecorder:
    """Writes what the run is into its directory; what is later than the checkpoint goes, to be computed again."""
    config, directory = start.config, start.directory
    mirror = None if run.finished else build_mirror(config, directory)
    if start.anew and run_directory.clear(directory):
        print_line(terminal, "Starts anew, for want of a checkpoint; the old rows are in aside_metrics.jsonl")
    # First what may be refused: then nothing of what the run is has been written
    mark = start.checkpoint.rows if start.checkpoint else None
    lost = cut_back(directory.metrics_path, run.progress.env_steps, run.progress.grad_steps, mark)
    saved_by = start.checkpoint.run_id if start.checkpoint else None
    damaged = run_directory.keep_damaged(directory) if start.checkpoint else ""
    run_directory.prepare(directory.path, config.to_dict(), resume=start.checkpoint is not None, run_id=saved_by)
    for line in filter(None, (lost, damaged)):
        print_line(terminal, line)
    for aside in set_aside_after(start.checkpoint) if start.checkpoint else ():
        print_line(terminal, f"A newer checkpoint is set aside: {aside.path}")
    return RunRecorder(config, directory, open_loggers(config, directory, mirror, terminal) if mirror else [])


def _fit(run: Run, recorder: RunRecorder, directory: RunDir, interrupt: Interrupt, terminal: RichConsole) -> int | None:
    """Trains, and closes the recorder; returns the number of the signal that stopped it, if one did."""
    try:
        fit(run, recorder, interrupt)
    except EnvError as error:
        raise EnvError(f"{error}{resume_hint(directory)}") from error
    except OSError as error:  # a buffer that keeps files found no room for them
        raise RecordError(f"{error}{resume_hint(directory)}") from error
    finally:
        for line in recorder.close():
            print_line(terminal, line)
    if interrupt.requested:
        interrupt.hand_on()  # does not return where the launcher puts the run back into its queue
    return interrupt.signal_number


def _undrawn(start: Start) -> bool:
    """Whether a run that is at its end lacks pictures, or has older ones than its metrics."""
    metrics, curves = start.directory.metrics_path, start.directory.plots_dir / "curves.png"
    if start.checkpoint is None or not metrics.exists():
        return False
    if not curves.exists() or curves.stat().st_mtime < metrics.stat().st_mtime:
        return True
    video = _video_path(start.directory, start.config, start.checkpoint.steps)
    return start.config.video and not video.exists() and not _no_video_path(start.directory).exists()


def _video_path(directory: RunDir, config: RunConfig, steps: int) -> Path:
    return directory.videos_dir / f"{config.evaluation_env['name']}_{steps}.mp4"


def _no_video_path(directory: RunDir) -> Path:
    """Says why there is no video, so that it is not tried at each resume."""
    return directory.videos_dir / "no_video.txt"


def _draw(run: Run, directory: RunDir, interrupt: Interrupt, terminal: RichConsole, *, with_video: bool) -> list[str]:
    """Draws the curves, the blocks and the film, until a signal comes; returns lines that say which files these are."""
    try:
        with interrupt.breaking_off():
            return _pictures(run, directory, with_video=with_video)
    except KeyboardInterrupt:  # a film may take long, and everything else is on disk
        print_line(terminal, f"Stopped while drawing; the run is saved: {directory.path}")
        raise SystemExit(128 + (interrupt.signal_number or signal.SIGINT)) from None


def _pictures(run: Run, directory: RunDir, *, with_video: bool) -> list[str]:
    config, no_video = run.config, []
    if directory.metrics_path.stat().st_size == 0:  # stopped in the first evaluation: there is no row yet
        return []
    try:
        pictures: list[Path] = plot_run(directory.path)
        blocks = plot_blocks({"": directory.path}, directory.plots_dir / "blocks.png")
        pictures += [blocks] if blocks else []
        if with_video:
            try:
                pictures += film(policy_of(run.agent), config, _video_path(directory, config, run.steps))
            except RuntimeError as error:  # nothing can be drawn here
                no_video = [f"No video: {error}"]
                _no_video_path(directory).write_text(f"{error}\n")
    except OSError as error:
        raise RecordError(f"The run is saved, but its pictures are not: {error}") from error
    return [*no_video, *map(str, pictures)]


def _unstable(run: Run, directory: RunDir) -> list[str]:
    count = sum(envs.num_unstable for envs in (run.envs, run.eval_envs) if envs)
    if not count:
        return []
    return [f"Unstable simulations, reset and not trained on: {count}; see {directory.unstable_dir}"]
