"""What a script does, as a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deepcrl.core.components import ENVS
from deepcrl.run.datasets.collect import POLICIES, collect, random, walker
from deepcrl.training.build import build_buffer, env_spec
from deepcrl.training.validate import validated


@pytest.fixture
def maze(tiny):
    env = {"name": "point_maze", **ENVS.defaults("point_maze"), "layout": "perfect_5", "cell_size": 1.0}
    return tiny(env=env | {"drive": "velocity", "success_radius": 0.3}, num_envs=4, episode_length=50)


def test_trajectories_are_ways_of_the_walker(maze, tmp_path: Path) -> None:
    arrays = collect(maze, walker(maze, 0.2), 401, tmp_path / "new" / "walks.npz")
    with np.load(tmp_path / "new" / "walks.npz") as saved:
        assert all(np.array_equal(saved[name], arrays[name]) for name in ("observations", "actions", "terminals"))
    state, action, last = arrays["observations"], arrays["actions"], arrays["terminals"]
    assert state.shape == (404, 2), "as many steps in each environment"
    assert action.shape == (404, 2)
    assert last.reshape(4, 101)[:, -1].all()
    jumps = np.abs(np.diff(state, axis=0)).max(axis=1) > 0.9  # more than a step: another episode, or environment
    assert last[:-1][jumps].all()
    assert last.sum() > jumps.sum() + 10, "ways end within episodes, too"


def test_the_same_seed_gives_the_same_data_and_it_can_be_learned_from(maze, tmp_path: Path) -> None:
    first, second = (collect(maze, walker(maze, 0.2), 200, tmp_path / f"{name}.npz") for name in "ab")
    other = validated(maze.to_dict() | {"seed": 1})
    third = collect(other, walker(other, 0.2), 200, tmp_path / "1.npz")
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["actions"], third["actions"])
    buffer = {"name": "dataset", "path": str(tmp_path / "{seed}.npz"), "random_goals": 0.0, "repeat": 1}
    offline = validated(other.to_dict() | {"buffer": buffer, "total_grad_steps": 4})
    batch = build_buffer(offline, env_spec(offline), torch.device("cpu")).sample(16)
    found = (batch.action[:, None].numpy() == third["actions"][None]).all(axis=2).any(axis=1)
    assert found.all(), "{seed} in the path is the run's"


def test_random_actions_end_with_their_episodes(maze, tmp_path: Path) -> None:
    arrays = collect(maze, random(maze, 0.0), 400, tmp_path / "a.npz")
    assert np.flatnonzero(arrays["terminals"]).tolist() == [49, 99, 149, 199, 249, 299, 349, 399]
    assert np.abs(arrays["actions"]).max() > 0.9


def test_refuses_what_cannot_be(maze, tiny, tmp_path: Path) -> None:
    (tmp_path / "a.npz").touch()
    with pytest.raises(ValueError, match="exists; name another file"):
        collect(maze, walker(maze, 0.2), 10, tmp_path / "a.npz")
    with pytest.raises(ValueError, match="noise must be at least 0, got -1"):
        POLICIES["walker"](maze, -1.0)
    with pytest.raises(ValueError, match="walks in point mazes only"):
        POLICIES["walker"](tiny(env={"name": "reacher", **ENVS.defaults("reacher")}), 0.5)
