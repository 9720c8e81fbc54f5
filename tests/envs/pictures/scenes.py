"""Environments and a policy that tests of pictures share."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.types import Observation
from deepcrl.envs import make_envs
from deepcrl.envs.vector import TaskVectorEnv


def point_maze(num_envs: int = 2, episode_length: int = 1000) -> TaskVectorEnv:
    env = make_envs({"name": "point_u_maze"}, num_envs=num_envs, episode_length=episode_length, seed=0)
    assert isinstance(env, TaskVectorEnv)
    return env


def still(observation: Observation) -> Tensor:
    """The policy that does nothing."""
    return torch.zeros(len(observation.state), 2)


class Foreign:
    """A vector of a class that pictures do not know."""

    spec, num_envs, episode_length = None, 1, 10
