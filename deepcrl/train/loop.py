"""The training loop: collect, learn, log, evaluate, save. It names no environment, loss, network or agent."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from deepcrl.core.types import Agent, Batch, Buffer, Observation, VectorEnv
from deepcrl.train.block_norms import watched
from deepcrl.train.config import RunConfig, Schedule
from deepcrl.train.evaluate import evaluate
from deepcrl.train.interrupt import Interrupt
from deepcrl.train.progress import Progress


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


@dataclass
class Run:
    """Everything a run is made of; its state is what a checkpoint holds."""

    config: RunConfig
    schedule: Schedule
    envs: VectorEnv | None
    """Where it collects; None if it is offline, and the buffer holds all its data from the start."""
    eval_envs: VectorEnv
    agent: Agent
    buffer: Buffer
    device: torch.device
    progress: Progress
    observation: Observation | None
    """What the agent acts on next; None offline."""
    learners: dict[str, Agent] = field(default_factory=dict)
    """Agents that learn from the same batches and never act."""

    @property
    def finished(self) -> bool:
        return self._in_last_unroll and not self.progress.row

    @property
    def _in_last_unroll(self) -> bool:
        return self.progress.unrolls >= self.schedule.prefill_unrolls + self.schedule.training_unrolls

    @property
    def evaluation_due(self) -> bool:
        """Whether the unroll that is being learned from, or was, ends with an evaluation."""
        return self._in_last_unroll or self.passed(self.config.eval_every)

    def passed(self, every: int) -> bool:
        """Whether this iteration ends at or beyond a multiple of `every` steps, as `Progress.steps` counts them."""
        taken, end = self.schedule.steps_per_unroll, self.progress.steps
        if not self.schedule.env_steps_per_unroll:
            end += self.progress.pending_grad_steps
        return (end - taken) // every < end // every

    def state_dict(self) -> dict[str, Any]:
        return {
            "envs": self.envs and self.envs.state_dict(),
            "eval_envs": self.eval_envs.state_dict(),
            "agent": self.agent.state_dict(),
            "learners": {name: learner.state_dict() for name, learner in self.learners.items()},
            "buffer": self.buffer.state_dict(),
            "progress": self.progress.state_dict(),
            "observation": self.observation and {"state": self.observation.state, "goal": self.observation.goal},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.envs and self.observation:
            self.envs.load_state_dict(state["envs"])
            device = self.observation.state.device  # the environments'
            self.observation = Observation(**{name: saved.to(device) for name, saved in state["observation"].items()})
        self.eval_envs.load_state_dict(state["eval_envs"])
        self.agent.load_state_dict(state["agent"])
        for name, learner in self.learners.items():
            learner.load_state_dict(state["learners"][name])
        self.buffer.load_state_dict(state["buffer"])
        self.progress.load_state_dict(state["progress"], self.device)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The agent's, and those of each learner behind its name."""
        of_learners = {f"{owner}/{name}": net for owner, a in self.learners.items() for name, net in a.networks.items()}
        return dict(self.agent.networks) | of_learners

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes a gradient step of the agent and of each learner on one batch; returns their metrics, 0-dim."""
        metrics = dict(self.agent.update(batch))
        for name, learner in self.learners.items():
            metrics |= {f"{name}/{key}": value for key, value in learner.update(batch).items()}
        return metrics

    def evaluate(self) -> dict[str, float]:
        """Returns the scores of the agent and of each learner, every one on episodes of its own."""
        scores = evaluate(self.agent, self.eval_envs)
        for name, learner in self.learners.items():
            scores |= {f"{name}/{key}": value for key, value in evaluate(learner, self.eval_envs).items()}
        return scores


def fit(run: Run, recorder: Recorder, interrupt: Interrupt) -> None:
    """Trains until the schedule ends or `interrupt` asks to stop; the run is saved in either case.

    Raises NonFiniteError, after a dump, as soon as a logged metric is not a number.
    """
    progress, config = run.progress, run.config
    if progress.steps == 0 and not progress.started:
        recorder.log(progress.take_row() | run.evaluate())
        progress.started = True
    while not (run.finished or interrupt.requested):
        if not progress.row:  # else an interrupted unroll goes on
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
    """Begins an iteration: takes one unroll, unless the run is offline, and says how many gradient steps are due."""
    progress, schedule = run.progress, run.schedule
    if run.envs:
        progress.row = unroll(run, run.envs)
        progress.env_steps += schedule.env_steps_per_unroll
    progress.unrolls += 1
    if progress.unrolls > schedule.prefill_unrolls:
        progress.pending_grad_steps = schedule.grad_steps_per_unroll


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
        look = run.config.log_blocks and progress.pending_grad_steps == 1 and run.evaluation_due
        batch = run.buffer.sample(run.config.batch_size)
        with watched(run.networks, progress.row) if look else nullcontext():
            progress.add(run.update(batch))
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
