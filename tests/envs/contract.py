"""What the tests of every registered task share: the names, environments of a task, actions, bounds of its goals."""

from __future__ import annotations

import torch
from torch import Tensor

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import EnvInputs, make_task
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv

discover()
NAMES = [name for name in ENVS if isinstance(make_task({"name": name}), GoalTask)]
N, LENGTH = 4, 40
"""Environments, steps of an episode."""


def vectorize(
    task: GoalTask, num_envs: int = N, length: int = LENGTH, threads: int = 1, seed: int = 3, reset: str = "resample"
) -> TaskVectorEnv:
    inputs = EnvInputs(num_envs=num_envs, episode_length=length, num_threads=threads, seed=seed, reset=reset)
    return TaskVectorEnv(task, inputs)


def random_actions(task: GoalTask, steps: int, num_envs: int = N) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return 2 * torch.rand(steps, num_envs, task.spec.action_dim, generator=generator) - 1


def stated_bounds(name: str, task: GoalTask) -> Tensor:
    bounds = task.goal_bounds()
    assert bounds is not None, f"{name} does not state its goal_bounds"
    assert bounds.shape == (2, task.spec.goal_dim)
    return bounds
