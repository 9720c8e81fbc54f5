"""Unstable simulations: each event is dumped once, with what it takes to run into it again."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import json
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from deepcrl.envs import make_envs, make_task
from deepcrl.envs.physics import unstable
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv

BAD_QVEL, BAD_QACC = int(mujoco.mjtWarning.mjWARN_BADQVEL), int(mujoco.mjtWarning.mjWARN_BADQACC)
ENV = {"name": "ant_maze", "layout": "u2_maze", "reset_noise": 0.0}


def start(directory: Path | None, seed: int = 3) -> TaskVectorEnv:
    envs = make_envs(ENV, num_envs=4, episode_length=50, seed=seed, num_threads=2, unstable_dir=directory)
    assert isinstance(envs, TaskVectorEnv)
    envs.reset()
    for _ in range(5):
        envs.step(torch.zeros(4, 8))
    return envs


def replay(path: Path) -> mujoco.MjData:
    """Follows the module's docstring."""
    dump = np.load(path)
    task = make_task(json.loads(str(dump["env"])))
    assert isinstance(task, GoalTask)
    data = mujoco.MjData(task.model)
    mujoco.mj_setState(task.model, data, dump["physics"], mujoco.mjtState.mjSTATE_INTEGRATION)
    data.ctrl[:] = dump["control"]
    mujoco.mj_step(task.model, data, task.substeps)
    return data


@pytest.mark.parametrize(("value", "warning"), [(float("nan"), BAD_QVEL), (float("inf"), BAD_QVEL), (9e9, BAD_QACC)])
def test_a_dump_leads_into_the_same_instability(tmp_path: Path, value: float, warning: int) -> None:
    envs = start(tmp_path / "unstable")
    before, goal = envs.step(torch.zeros(4, 8)).observation.state, envs.state_dict()["goal"]
    envs.physics.field("qvel")[2, 8] = value
    action = torch.rand(4, 8)
    envs.step(action)
    (path,) = (tmp_path / "unstable").iterdir()
    assert path.name == "ant_maze_seed3_event0_env2.npz"
    dump = np.load(path)
    assert json.loads(str(dump["env"])) == ENV
    assert [int(dump[name]) for name in ("seed", "index", "traj_id", "step")] == [3, 2, 0, 6]
    for name, tensor in (("state", before), ("goal", goal), ("action", action), ("control", action)):
        assert np.array_equal(dump[name], tensor[2].numpy())
    assert replay(path).warning[warning].number > 0


def test_each_event_is_dumped_once_and_a_stable_step_never(tmp_path: Path) -> None:
    envs = start(tmp_path / "unstable")
    assert not (tmp_path / "unstable").exists()
    for poisoned in ([1, 3], [], [3]):
        envs.physics.field("qvel")[poisoned, 0] = float("nan")
        for _ in range(3):
            envs.step(torch.zeros(4, 8))
    names = sorted(path.name for path in (tmp_path / "unstable").iterdir())
    assert names == [f"ant_maze_seed3_event{k}_env{i}.npz" for k, i in ((0, 1), (1, 3), (2, 3))]
    assert [int(np.load(tmp_path / "unstable" / name)["traj_id"]) for name in names] == [0, 0, 1]
    assert envs.num_unstable == 3


def test_without_a_directory_it_is_only_counted(tmp_path: Path) -> None:
    envs = start(None)
    envs.physics.field("qvel")[0, 0] = float("nan")
    envs.step(torch.zeros(4, 8))
    assert envs.num_unstable == 1
    assert not list(tmp_path.rglob("*.npz"))


def test_the_number_of_dumps_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unstable, "MAX_DUMPS", 2)
    envs = start(tmp_path / "unstable")
    envs.physics.field("qvel")[:, 0] = float("nan")
    envs.step(torch.zeros(4, 8))
    assert envs.num_unstable == 4
    assert len(list((tmp_path / "unstable").iterdir())) == 2


def test_a_directory_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    envs = start(tmp_path / "file" / "unstable")
    envs.physics.field("qvel")[0, 0] = float("nan")
    step = envs.step(torch.zeros(4, 8))
    assert step.truncated.tolist() == [True, False, False, False]
    assert envs.num_unstable == 1
