"""What acts in an evaluation or a film: the trained agent of a checkpoint, without exploring, or random actions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from deepcrl.core import seeding
from deepcrl.core.types import Agent, Observation
from deepcrl.kernels import dispatch
from deepcrl.run.checkpoint import Checkpoint, fitting
from deepcrl.training.build import build_agent, env_spec
from deepcrl.training.config import RunConfig
from deepcrl.training.process import configure_process
from deepcrl.training.validate import select_device

Act = Callable[[Observation], Tensor]


def trained_agent(checkpoint: Checkpoint, config: RunConfig, learner: str = "") -> Agent:
    """Builds the agent of `config`, which may choose its actions otherwise, with the networks of the checkpoint.

    `learner` names one that learned beside it, to be built instead. Raises CheckpointError if the networks do not
    fit, and ValueError for an unknown learner or kernels that the device cannot run.
    """
    own = config.learner(learner) if learner else config
    device = select_device(config.device)
    dispatch.check(config.kernels, device)
    configure_process(config, device)
    agent = build_agent(own, env_spec(config), device)
    state = checkpoint.state
    with fitting(checkpoint.path):
        agent.load_state_dict(state["learners"][learner] if learner else state["agent"])
    return agent


def policy_of(agent: Agent) -> Act:
    """Returns how `agent` acts when it does not explore."""
    return partial(agent.act, explore=False)


def random_policy(config: RunConfig) -> Act:
    """Returns a policy that draws actions [N, A] uniformly from [-1, 1]; the same seed gives the same ones."""
    generator, action_dim = seeding.generator(config.seed, "random_policy"), env_spec(config).action_dim
    return lambda observation: 2 * torch.rand(len(observation.state), action_dim, generator=generator) - 1
