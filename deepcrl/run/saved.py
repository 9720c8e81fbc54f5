"""A trained policy, taken from a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepcrl.core.types import Agent
from deepcrl.kernels import dispatch
from deepcrl.run import checkpoint
from deepcrl.train.build import build_agent, env_spec
from deepcrl.train.config import RunConfig
from deepcrl.train.process import configure_process
from deepcrl.train.schedule import counter_of
from deepcrl.train.validate import select_device


@dataclass(frozen=True, slots=True)
class Saved:
    """The newest checkpoint of a run, or the one that was asked for."""

    run_dir: Path
    state: dict[str, Any]

    @classmethod
    def read(cls, where: str | Path) -> Saved:
        """Reads a run directory or a checkpoint; CheckpointError in one line if there is none to read."""
        path = checkpoint.find(Path(where))
        return cls(path.parent.parent, checkpoint.load(path))

    @property
    def config(self) -> dict[str, Any]:
        return self.state["config"]

    @property
    def env_steps(self) -> int:
        return self.state["run"]["progress"]["env_steps"]

    @property
    def grad_steps(self) -> int:
        return self.state["run"]["progress"]["grad_steps"]

    @property
    def counter(self) -> str:
        """What the run is counted in: `env_steps` or `grad_steps`."""
        return counter_of([self.state["run"]["progress"]])

    @property
    def steps(self) -> int:
        """Steps taken until the checkpoint, of the kind that the run is counted in."""
        return self.state["run"]["progress"][self.counter]

    def agent(self, config: RunConfig, learner: str = "") -> Agent:
        """Builds the agent of `config`, which may choose its actions otherwise, with the trained networks.

        `learner` names one that learned beside it, to be built instead. Raises CheckpointError if the networks do not
        fit, and ValueError for an unknown learner or kernels that the device cannot run.
        """
        own = config.learner(learner) if learner else config
        device = select_device(config.device)
        dispatch.check(config.kernels, device)
        configure_process(config, device)
        agent = build_agent(own, env_spec(config), device)
        with checkpoint.fitting(self.run_dir):
            run = self.state["run"]
            agent.load_state_dict(run["learners"][learner] if learner else run["agent"])
        return agent
