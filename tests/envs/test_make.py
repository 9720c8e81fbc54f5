"""The ways in: make_task, make_envs, and which vector an item gets."""

from __future__ import annotations

from typing import Any

import pytest

from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec, VectorEnv
from deepcrl.envs import EnvInputs, make_envs, make_task
from deepcrl.envs.gymnasium.vector import GymnasiumVectorEnv
from deepcrl.envs.make import vectorize
from deepcrl.envs.tasks.point_maze import PointMaze
from deepcrl.envs.vector import TaskVectorEnv

INPUTS = EnvInputs(num_envs=2, episode_length=10, seed=0)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"name": "ant_umaze"}, "Did you mean 'ant_u_maze'"),
        ({"name": "ant", "goal_distanse": 3.0}, "Did you mean 'goal_distance'"),
        ({"name": "ant", "goal_distance": -1.0}, "goal_distance must be at least 0, got -1.0"),
        ({"name": "ant", "goal_distance_min": 11.0}, "goal_distance_min must be within 0 and goal_distance 10.0"),
        ({"name": "ant", "goal_distance_min": -1.0}, "goal_distance_min must be within"),
        ({"name": "ant", "success_radius": 0.0}, "success_radius must be greater than 0, got 0.0"),
        ({"name": "ant", "success_radius": float("nan")}, "success_radius must be greater than 0, got nan"),
        ({"name": "ant", "density": 0.0}, "density must be greater than 0"),
        ({"name": "ant", "reset_noise": -0.1}, "reset_noise must be at least 0, got -0.1"),
        ({"name": "ant_maze", "layout": "umaze"}, "layout 'umaze'. Did you mean 'u_maze'"),
        ({"name": "ant_maze", "cell_size": 0.0}, "cell_size must be greater than 0"),
        ({"name": "ant_maze", "wall_height": -2.0}, "wall_height must be greater than 0"),
        ({"name": "point_maze", "reset_noise": -1.0}, "reset_noise must be at least 0"),
        ({"name": "point_maze", "success_radius": -1.0}, "success_radius must be greater than 0"),
        ({"name": "point_maze", "wall_height": 0.0}, "wall_height must be greater than 0"),
    ],
)
def test_bad_tasks(cfg, message):
    with pytest.raises(ValueError, match=message) as error:
        make_task(cfg)
    assert "\n" not in str(error.value)


def test_make_envs_passes_everything_on():
    envs = make_envs({"name": "point_maze", "layout": "#####/#RG.#/#####"}, num_envs=3, episode_length=4, seed=1)
    assert (envs.num_envs, envs.episode_length, envs.spec.state_dim) == (3, 4, 4)
    assert envs.reset().goal.tolist() == [[4.0, 8.0]] * 3


def test_making_a_task_compiles_nothing():
    task = make_task({"name": "ant_hardest_maze"})
    assert task.spec.state_dim == 29
    assert "model" not in vars(task)


def test_hyperparameters_are_a_schema():
    assert ENVS.defaults("ant_big_maze")["layout"] == "big_maze"
    assert ENVS.defaults("ant") == {
        "name": "ant",
        "goal_distance": 10.0,
        "goal_distance_min": None,
        "reset_noise": 0.1,
        "success_radius": 0.5,
        "density": 40.0,
        "random_start": False,
    }


class Own:
    """An item that is no GoalTask and brings its own vector."""

    spec = EnvSpec(state_dim=1, action_dim=1, goal_indices=(0,))
    success_radius, euclidean = 0.1, True

    def vectorize(self, inputs: EnvInputs) -> VectorEnv:
        made: Any = ("own vector", inputs.num_envs)
        return made


class OwnTask(PointMaze):
    """A GoalTask that prefers a vector of its own."""

    vectorize = Own.vectorize


class Neither:
    """An item that nothing can be made of."""

    spec, success_radius, euclidean = Own.spec, None, True


def test_the_kind_of_an_item_decides_its_vector(walk: None) -> None:
    assert type(vectorize(PointMaze(), INPUTS)) is TaskVectorEnv
    assert type(vectorize(make_task({"name": "gymnasium", "id": "test/Walk-v0"}), INPUTS)) is GymnasiumVectorEnv


@pytest.mark.parametrize("item", [Own(), OwnTask()], ids=["another class", "a GoalTask"])
def test_an_items_own_vectorize_comes_first(item: Any) -> None:
    assert vectorize(item, INPUTS) == ("own vector", 2)


def test_an_item_without_a_vector_is_one_line() -> None:
    with pytest.raises(ValueError, match="^env: Neither is neither a GoalTask nor has it a method vectorize"):
        vectorize(Neither(), INPUTS)
