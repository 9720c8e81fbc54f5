"""Helpers of the environment tests."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields

import gymnasium
import mujoco
import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor

from deepcrl.core.types import Observation, Step
from deepcrl.envs import EnvInputs, make_task
from deepcrl.envs.task import GoalTask
from deepcrl.envs.tasks.arm import DRIVEN, JOINT7
from deepcrl.envs.vector import TaskVectorEnv
from tests.envs.walk import ID, Walk

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
        inputs = EnvInputs(
            num_envs=num_envs, episode_length=episode_length, seed=seed, num_threads=num_threads, reset=reset
        )
        return TaskVectorEnv(item, inputs)

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


@pytest.fixture
def fingers_down() -> Callable[..., Tensor]:
    """Finds the arm's action [5] that points the hand down, its fingertips' midpoint at `place`, in metres."""

    def solve(model: mujoco.MjModel, place: tuple[float, float, float], gripper: float) -> Tensor:
        data = mujoco.MjData(model)
        x, y, z = place

        def error(angles: np.ndarray) -> list[float]:
            data.qpos[[0, 1, 3, 5]], data.qpos[6] = angles, JOINT7
            mujoco.mj_kinematics(model, data)
            tips = [data.site(f"robot/{side}_fingertip").xpos for side in ("left", "right")]
            return [*(np.mean(tips, axis=0) - (x, y, z)), 0.1 * (angles[1] - angles[2] - angles[3])]

        low, high = np.array(list(DRIVEN.values())).T
        start = (low + high) / 2
        start[0] = math.atan2(y, x)
        found = least_squares(error, start, bounds=(low, high))
        assert np.abs(found.fun).max() < 2e-3, f"{place} is out of reach"
        return torch.tensor([*(2 * (found.x - low) / (high - low) - 1), gripper]).float()

    return solve


@pytest.fixture
def walk():
    """Has `test/Walk-v0` in Gymnasium's registry."""
    gymnasium.register(ID, Walk)  # pyright: ignore[reportArgumentType]
    yield
    del gymnasium.registry[ID]
