"""The training loop: collect, learn, log, evaluate, save. It names no environment, loss, network or agent."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Protocol

import torch

from deepcrl.core.types import EnvError, VectorEnv
from deepcrl.training.block_norms import log_block_norms
from deepcrl.training.interrupt import Interrupt, Interrupted
from deepcrl.training.run import Run

SAVE_EVERY_SECONDS = 600.0
"""How much work a run can lose at most, but for an unroll or an evaluation that takes longer."""


class NonFiniteError(RuntimeError):
    """A metric became NaN or infinite: training on would write garbage."""


class Recorder(Protocol):
    """What the loop tells the outside world."""

    def log(self, row: dict[str, float]) -> None:
        """Records one row of metrics."""
        ...

    def save(self, run: Run) -> None:
        """Writes a checkpoint."""
        ...

    def dump(self, run: Run) -> str:
        """Writes the state of a run that went wrong; returns where."""
        ...


def fit(run: Run, recorder: Recorder, interrupt: Interrupt) -> None:
    """Trains until the schedule ends or `interrupt` asks to stop; the run is saved in either case.

    It is saved too after the evaluation of the untrained policy, every `checkpoint_every` steps, and whenever the last
    time was SAVE_EVERY_SECONDS ago. After a dump it raises NonFiniteError as soon as a logged metric is not a number,
    and EnvError if an environment cannot be stepped any more.
    """
    try:
        with suppress(Interrupted):  # of an evaluation: the state of the run is that from before it
            _train(run, recorder, interrupt)
    except EnvError as error:
        raise EnvError(f"{error}. State dumped to {recorder.dump(run)}") from error
    recorder.save(run)


def _train(run: Run, recorder: Recorder, interrupt: Interrupt) -> None:
    progress, config = run.progress, run.config
    if run.steps == 0 and not progress.started:
        recorder.log(progress.take_row() | run.evaluate(interrupt))
        progress.started = True
        recorder.save(run)
    saved_at = time.monotonic()
    while not (run.finished or interrupt.requested):
        if not progress.row_begun:  # an interrupted iteration goes on with the gradient steps that it still owes
            collect(run, interrupt)
        learn(run, interrupt, until=saved_at + SAVE_EVERY_SECONDS)
        if interrupt.requested or progress.pending_grad_steps:
            _stop_if_not_finite(progress.means(), run, recorder)
        else:
            _end_iteration(run, recorder, interrupt)
        overdue = time.monotonic() >= saved_at + SAVE_EVERY_SECONDS
        if overdue or (not progress.row_begun and run.passed(config.checkpoint_every)):
            recorder.save(run)
            saved_at = time.monotonic()


def _end_iteration(run: Run, recorder: Recorder, interrupt: Interrupt) -> None:
    """Logs the row of the iteration, with an evaluation if one is due."""
    row = run.progress.whole_row()
    _stop_if_not_finite(row, run, recorder)
    if run.evaluation_due:
        row |= run.evaluate(interrupt)
    run.progress.take_row()
    recorder.log(row)


def collect(run: Run, interrupt: Interrupt) -> None:
    """Begins an iteration: takes one unroll, unless the run is offline, and sets how many gradient steps follow.

    Does not begin it if the unroll is interrupted.
    """
    progress, schedule = run.progress, run.schedule
    if run.envs:
        row = unroll(run, run.envs, interrupt)
        if row is None:
            return
        progress.row = row
        progress.env_steps += schedule.env_steps_per_unroll
    progress.unrolls += 1
    if progress.unrolls > schedule.prefill_unrolls:
        progress.pending_grad_steps = schedule.grad_steps_per_unroll
    progress.row_begun = True


def unroll(run: Run, envs: VectorEnv, interrupt: Interrupt) -> dict[str, float] | None:
    """Takes one unroll in every environment and stores it; returns its metrics, None if it is interrupted.

    An unroll that was interrupted goes on where it was.
    """
    started, observation, progress = time.perf_counter(), run.observation, run.progress
    assert observation is not None
    device = observation.state.device
    sums = torch.zeros(3, device=device) if progress.unroll_sums is None else progress.unroll_sums.to(device)
    num_successes, num_terminated, distance = sums.unbind()
    if progress.unroll_step == 0:
        observation = replace(observation, first=None)  # what was planned in the last unroll is not carried out
    for taken in range(progress.unroll_step, run.config.unroll_length):
        if interrupt.requested:
            progress.unroll_step, progress.unroll_sums = taken, sums
            return None
        action = run.agent.act(observation, explore=True)
        step = envs.step(action)
        run.buffer.insert(observation, action, step)
        num_successes += step.success.sum()
        num_terminated += step.terminated.sum()
        distance += step.distance.mean()
        run.observation = observation = step.observation
    progress.unroll_step, progress.unroll_sums = 0, None
    return {
        "train/time_at_goal": float(num_successes) / run.schedule.env_steps_per_unroll * envs.episode_length,
        "train/distance": float(distance) / run.config.unroll_length,
        "env/terminated": float(num_terminated),
        "env/unstable": envs.num_unstable,
        "time/collect_seconds": time.perf_counter() - started,
    }


def learn(run: Run, interrupt: Interrupt, until: float = math.inf) -> None:
    """Takes the gradient steps that are due, each on a fresh batch, until done, interrupted, or `until` is past.

    `until` is in the seconds of `time.monotonic`.
    """
    started, progress = time.perf_counter(), run.progress
    while progress.pending_grad_steps > 0 and not interrupt.requested and time.monotonic() < until:
        log_blocks = run.config.log_blocks and progress.pending_grad_steps == 1 and run.evaluation_due
        batch = run.buffer.sample(run.config.batch_size)
        with log_block_norms(run.networks, progress.row) if log_blocks else nullcontext():
            run.add(run.update(batch))
        progress.grad_steps += 1
        progress.pending_grad_steps -= 1
    spent = time.perf_counter() - started
    progress.row["time/learn_seconds"] = progress.row.get("time/learn_seconds", 0.0) + spent


def _stop_if_not_finite(row: dict[str, float], run: Run, recorder: Recorder) -> None:
    bad = [f"{name}={value}" for name, value in row.items() if not math.isfinite(value)]
    if bad:
        what = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more metrics" if len(bad) > 3 else "")
        raise NonFiniteError(
            f"Stopped after {run.progress.grad_steps} gradient steps: {what}. State dumped to {recorder.dump(run)}"
        )
