"""A run in memory: all its parts, and their state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from deepcrl.core.agents.common.cuda_graph import CudaGraphAgent
from deepcrl.core.components import AGENTS
from deepcrl.core.contract.build import origin
from deepcrl.core.contract.first_call import ContractError
from deepcrl.core.states import check_finite, check_tensor
from deepcrl.core.types import Agent, Batch, Buffer, CriticAgent, Observation, VectorEnv
from deepcrl.training.config import RunConfig
from deepcrl.training.evaluate import evaluate_both, rewind
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.path_score import PathScore
from deepcrl.training.progress import Progress
from deepcrl.training.schedule import Schedule


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
    path_score: PathScore | None = None
    """What to measure of critics beside; None where the robot is in no maze."""
    _before_evaluation: dict[str, Any] | None = None
    """What an evaluation that was given up has changed, as it was before; see `evaluate`."""

    @property
    def finished(self) -> bool:
        return self._in_last_unroll and not self.progress.row_begun

    @property
    def steps(self) -> int:
        """Steps taken so far, of the kind that the run is counted in."""
        return self.schedule.steps(self.progress.env_steps, self.progress.grad_steps)

    @property
    def _in_last_unroll(self) -> bool:
        return self.progress.unrolls >= self.schedule.prefill_unrolls + self.schedule.training_unrolls

    @property
    def evaluation_due(self) -> bool:
        """Whether the unroll that is being learned from, or was, ends with an evaluation."""
        return self._in_last_unroll or self.passed(self.config.eval_every)

    def passed(self, every: int) -> bool:
        """Whether this iteration ends at or beyond a multiple of `every` steps, pending gradient steps included."""
        progress, taken = self.progress, self.schedule.steps_per_unroll
        end = self.schedule.steps(progress.env_steps, progress.grad_steps + progress.pending_grad_steps)
        return (end - taken) // every < end // every

    def state_dict(self) -> dict[str, Any]:
        return {
            "envs": self.envs and self.envs.state_dict(),
            **(self._before_evaluation or self._touched_by_evaluation()),
            "buffer": self.buffer.state_dict(),
            "progress": self.progress.state_dict(),
            "observation": self.observation and _observed(self.observation),
        }

    def _touched_by_evaluation(self) -> dict[str, Any]:
        """The state of what acts and draws in an evaluation; networks by reference, for none learns in it."""
        return {
            "eval_envs": self.eval_envs.state_dict(),
            "agent": self.agent.state_dict(),
            "learners": {name: learner.state_dict() for name, learner in self.learners.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.envs and self.observation:
            self.envs.load_state_dict(state["envs"])
            device = self.observation.state.device  # the environments'
            saved = state["observation"]
            for name in ("state", "goal"):
                check_finite(f"observation/{name}", saved[name], getattr(self.observation, name))
            first = saved.get("first")  # which older versions did not save, nor need
            if first is not None:
                check_tensor("observation/first", first, torch.zeros(len(saved["state"]), dtype=torch.bool))
                first = first.to(device)
            self.observation = Observation(saved["state"].to(device), saved["goal"].to(device), first)
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

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Adds a gradient step's metrics to the row; ContractError if they have other names than those before."""
        sums = self.progress.sums
        if sums and sums.keys() != metrics.keys():
            names = [config.agent["name"] for config in (self.config, *map(self.config.learner, self.learners))]
            whose = " or ".join(filter(None, (origin(AGENTS, name) for name in names)))
            changed = ", ".join(sorted(sums.keys() ^ metrics.keys()))
            raise ContractError(f"{whose}: update returned other metrics than at the step before: {changed}")
        self.progress.add(metrics)

    def evaluate(self, interrupt: Interrupt) -> dict[str, float]:
        """Returns the scores of the agent and of each learner, all from the same starts and with the same goals.

        Raises Interrupted if a signal comes meanwhile. The state of the run is then still that from before, so that the
        resumed run repeats the evaluation with the same draws; this process can only save it and end.
        """
        self._before_evaluation = self._touched_by_evaluation()
        starts, scores = self.eval_envs.state_dict(), {}
        for name, learner in self.learners.items():
            scores |= {f"{name}/{key}": value for key, value in self._scores(learner, interrupt).items()}
            rewind(self.eval_envs, starts)
        scores = self._scores(self.agent, interrupt) | scores
        self._before_evaluation = None
        return scores

    def _scores(self, agent: Agent, interrupt: Interrupt) -> dict[str, float]:
        scores = evaluate_both(agent, self.eval_envs, interrupt)
        critic = agent.ungraphed if isinstance(agent, CudaGraphAgent) else agent
        return scores | self.path_score(critic) if self.path_score and isinstance(critic, CriticAgent) else scores


def _observed(observation: Observation) -> dict[str, Tensor]:
    """Returns what there is of an observation, by name."""
    values = {"state": observation.state, "goal": observation.goal, "first": observation.first}
    return {name: value for name, value in values.items() if value is not None}
