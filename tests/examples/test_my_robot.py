"""The example of a robot from an MJCF file, imported as a plugin."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from deepcrl.core.components import ENVS
from deepcrl.envs import make_envs
from deepcrl.envs.check import check_camera
from deepcrl.envs.vector import TaskVectorEnv

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def my_robot(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(EXAMPLES)
    yield importlib.import_module("my_robot")
    del ENVS._items["my_arm"], ENVS._schemas["my_arm"], sys.modules["my_robot"]


def test_the_robot_keeps_its_own_options_and_reaches_a_goal(my_robot: ModuleType) -> None:
    envs = make_envs({"name": "my_arm"}, num_envs=64, episode_length=100, seed=0, num_threads=1)
    assert isinstance(envs, TaskVectorEnv)
    model = envs.task.model
    assert (model.opt.timestep, model.opt.iterations, model.opt.ls_iterations) == (0.002, 20, 20)
    assert envs.task.ctrl_dt == pytest.approx(0.05)
    check_camera(envs.task, "my_arm")
    observation = envs.reset()
    assert torch.allclose(observation.state[:, :3], torch.tensor([0.6, 0, 0.3]), atol=1e-6)
    turn, shoulder, elbow = angles = 2.6 * (2 * torch.rand(3, 50_000, generator=torch.Generator().manual_seed(0)) - 1)
    reach = 0.3 * (shoulder.cos() + (shoulder + elbow).cos())
    height = 0.3 * (1 - shoulder.sin() - (shoulder + elbow).sin())
    tips = torch.stack((reach * turn.cos(), reach * turn.sin(), height), dim=1)
    best = torch.cdist(observation.goal, tips).argmin(dim=1)
    step = [envs.step(angles[:, best].T / 2.6) for _ in range(60)][-1]
    assert step.success.float().mean() > 0.9
    assert envs.num_unstable == 0
