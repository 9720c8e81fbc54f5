"""Every task is known to Gymnasium once `deepcrl.envs` is imported, tasks of one's own when asked."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import pytest
from gymnasium.envs.registration import EnvSpec

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task
from deepcrl.envs.gymnasium.ids import gymnasium_id, register_ids
from deepcrl.envs.task import GoalTask
from deepcrl.envs.tasks.ant import Ant

FRESH = """
import sys
import gymnasium
import deepcrl.envs
assert not {"docs.generate.gallery", "docs.generate.environments"} & set(sys.modules)
print(gymnasium.make("deepcrl/AntUMaze-v0").spec.id)
print(*(id for id in gymnasium.registry if id.startswith("deepcrl/")))
"""


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("ant", "deepcrl/Ant-v0"),
        ("ant_u_maze", "deepcrl/AntUMaze-v0"),
        ("ant_u2_maze_gen_1f2f3f", "deepcrl/AntU2MazeGen1f2f3f-v0"),
        ("half_cheetah", "deepcrl/HalfCheetah-v0"),
    ],
)
def test_ids(name: str, id: str) -> None:
    assert gymnasium_id(name) == id


def test_importing_the_package_registers_every_task_and_prints_nothing() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", FRESH], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    made, listed = done.stdout.splitlines()
    assert made == "deepcrl/AntUMaze-v0"
    discover()
    tasks = {name: make_task({"name": name}) for name in ENVS}
    ours = [name for name, task in tasks.items() if isinstance(task, GoalTask) and "deepcrl" in type(task).__module__]
    assert len(ours) > 70
    assert set(listed.split()) == {gymnasium_id(name) for name in ours}
    assert len(listed.split()) == len(ours)  # no two tasks share an id


def test_a_task_of_ones_own() -> None:
    ENVS.register("test_own", goal_distance=3.0)(Ant)
    try:
        assert gymnasium_id("test_own") not in gymnasium.registry
        register_ids()
        assert gymnasium.make("deepcrl/TestOwn-v0").unwrapped.task.goal_distance == 3.0  # pyright: ignore
    finally:
        del ENVS._items["test_own"], ENVS._schemas["test_own"], gymnasium.registry[gymnasium_id("test_own")]


def test_a_spec_can_be_written_down() -> None:
    spec = gymnasium.make("deepcrl/AntUMaze-v0", layout="u2_maze").spec
    assert spec is not None
    assert gymnasium.make(EnvSpec.from_json(spec.to_json())).spec == spec
