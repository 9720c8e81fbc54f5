"""`env=gymnasium`: what it refuses, each in one line."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from deepcrl.envs import EnvInputs, make_task
from deepcrl.envs.make import vectorize

pytestmark = pytest.mark.usefixtures("walk")
REACHER = {
    "id": "Reacher-v5",
    "goal_indices": [8, 9],
    "goal_low": [-0.1, 0.2],
    "goal_high": [0.1, 0.2],
    "success_radius": 0.1,
}


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        (
            {"id": "PointMaze_UMze-v3"},
            "Unknown Gymnasium environment 'PointMaze_UMze-v3'. Did you mean 'PointMaze_UMaze",
        ),
        ({"id": "nowhere_to_import:Walk-v0"}, "env.id=nowhere_to_import:Walk-v0: No module named"),
        ({"id": "Reacher-v5"}, "env.id=Reacher-v5 has no goals of its own: set env.goal_indices"),
        (REACHER | {"success_radius": None}, "env.id=Reacher-v5 knows nothing of the goals .*: set env.success_radius"),
        (REACHER | {"goal_indices": [8, 10]}, r"env.goal_indices=\[8, 10\] must be within 0 and 9"),
        (REACHER | {"goal_low": [0]}, "need one number for each of goal_indices"),
        (REACHER | {"goal_low": [1, 0.2]}, "goal_low must not exceed goal_high, got 1 and 0.1"),
        (REACHER | {"id": "test/Walk-v0"}, "env.goal_indices: env.id=test/Walk-v0 observes a dict"),
        (REACHER | {"id": "CartPole-v1"}, "env.id=CartPole-v1 has actions Discrete"),
        ({"kwargs": {"color": "red"}}, "env.id=PointMaze_UMaze-v3 cannot be made: .*color"),
        ({"kwargs": {"max_episode_steps": 3}}, "env.kwargs.max_episode_steps: an episode's length is the run's"),
        ({"vectorization": "snyc"}, "Unknown vectorization 'snyc'. Did you mean 'sync'"),
        ({"success_radius": 0}, "success_radius must be greater than 0"),
    ],
)
def test_refusals(hyper: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make_task({"name": "gymnasium", **hyper}).spec  # noqa: B018
    assert "\n" not in str(error.value)


def test_without_the_optional_package(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gymnasium_robotics" else find(name))
    with pytest.raises(ValueError, match=r"need gymnasium-robotics: pip install 'deepcrl\[robotics\]'"):
        make_task({"name": "gymnasium", "id": "PointMaze_NoMaze-v3"}).spec  # noqa: B018


def test_it_brings_its_own_physics() -> None:
    inputs = EnvInputs(num_envs=1, episode_length=9, seed=0)
    object.__setattr__(inputs, "physics", "other")  # of an engine that need not be installed
    with pytest.raises(ValueError, match="physics=other: env=gymnasium brings its own physics"):
        vectorize(make_task({"name": "gymnasium"}), inputs)
