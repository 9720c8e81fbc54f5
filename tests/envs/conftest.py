"""Helpers of the environment tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from torch import Tensor

from deepcrl.core.types import Observation, Step
from deepcrl.envs import VectorSettings, make_task
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv

Make = Callable[..., TaskVectorEnv]


@pytest.fixture
def make() -> Make:
    """Builds a TaskVectorEnv: `make("ant", num_envs=3, task={"density": 40.0})`."""

    def build(
        name: str,
        *,
        num_envs: int = 5,
        episode_length: int = 1000,
        seed: int = 0,
        num_threads: int = 2,
        reset: str = "resample",
        task: dict[str, object] | None = None,
    ) -> TaskVectorEnv:
        item = make_task({"name": name, **(task or {})})
        assert isinstance(item, GoalTask)
        settings = VectorSettings(
            num_envs=num_envs, episode_length=episode_length, seed=seed, num_threads=num_threads, reset=reset
        )
        return TaskVectorEnv(item, settings)

    return build


@pytest.fixture
def actions() -> Callable[[TaskVectorEnv, int], Tensor]:
    """Draws random actions [steps, N, A] for an environment, the same for the same sizes."""

    def draw(envs: TaskVectorEnv, steps: int) -> Tensor:
        generator = torch.Generator().manual_seed(7)
        return 2 * torch.rand(steps, envs.num_envs, envs.spec.action_dim, generator=generator) - 1

    return draw


@pytest.fixture
def assert_same() -> Callable[[Step, Step], None]:
    """Asserts that two steps are equal bit by bit."""

    def check(a: Step, b: Step) -> None:
        for name in (field.name for field in fields(Step)):
            one, other = getattr(a, name), getattr(b, name)
            if isinstance(one, Observation):
                assert torch.equal(one.state, other.state), name
                assert torch.equal(one.goal, other.goal), name
            elif isinstance(one, Tensor):
                assert torch.equal(one, other), name
            else:
                assert one is other is None, name

    return check
