"""The training loop: collect, learn, log, evaluate, save. It names no environment, loss, network or agent."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import Protocol

import torch

from deepcrl.core.types import EnvError, VectorEnv
from deepcrl.train.block_norms import log_block_norms
from deepcrl.train.interrupt import Interrupt
from deepcrl.train.run import Run


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

    Raises NonFiniteError, after a dump, as soon as a logged metric is not a number, and EnvError, after a dump, if an
    environment cannot be gone on with.
    """
    try:
        _fit(run, recorder, interrupt)
    except EnvError as error:
        raise EnvError(f"{error}. State dumped to {recorder.dump(run)}") from error


def _fit(run: Run, recorder: Recorder, interrupt: Interrupt) -> None:
    progress, config = run.progress, run.config
    if run.steps == 0 and not progress.started:
        recorder.log(progress.take_row() | run.evaluate())
        progress.started = True
    while not (run.finished or interrupt.requested):
        if not progress.row_begun:  # an interrupted iteration goes on with the gradient steps that it still owes
            collect(run)
        learn(run, interrupt)
        if interrupt.requested:
            _stop_if_not_finite(progress.means(), run, recorder)
            break
        row = progress.take_row()
        _stop_if_not_finite(row, run, recorder)
        if run.evaluation_due:
            row |= run.evaluate()
        recorder.log(row)
        if run.passed(config.checkpoint_every):
            recorder.save(run)
    recorder.save(run)


def collect(run: Run) -> None:
    """Begins an iteration: takes one unroll, unless the run is offline, and sets how many gradient steps follow."""
    progress, schedule = run.progress, run.schedule
    if run.envs:
        progress.row = unroll(run, run.envs)
        progress.env_steps += schedule.env_steps_per_unroll
    progress.unrolls += 1
    if progress.unrolls > schedule.prefill_unrolls:
        progress.pending_grad_steps = schedule.grad_steps_per_unroll
    progress.row_begun = True


def unroll(run: Run, envs: VectorEnv) -> dict[str, float]:
    """Takes one unroll in every environment and stores it; returns its metrics."""
    started, observation = time.perf_counter(), run.observation
    assert observation is not None
    num_successes, num_terminated, distance = torch.zeros(3, device=observation.state.device).unbind()
    for _ in range(run.config.unroll_length):
        action = run.agent.act(observation, explore=True)
        step = envs.step(action)
        run.buffer.insert(observation, action, step)
        num_successes += step.success.sum()
        num_terminated += step.terminated.sum()
        distance += step.distance.mean()
        run.observation = observation = step.observation
    return {
        "train/time_at_goal": float(num_successes) / run.schedule.env_steps_per_unroll * envs.episode_length,
        "train/distance": float(distance) / run.config.unroll_length,
        "env/terminated": float(num_terminated),
        "env/unstable": envs.num_unstable,
        "time/collect_seconds": time.perf_counter() - started,
    }


def learn(run: Run, interrupt: Interrupt) -> None:
    """Takes the gradient steps that are due, each on a fresh batch, until done or interrupted."""
    started, progress = time.perf_counter(), run.progress
    while progress.pending_grad_steps > 0 and not interrupt.requested:
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
