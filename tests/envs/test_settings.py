"""Settings and the two ways in, make_envs and make_task."""

from __future__ import annotations

import pytest

from deepcrl.core.components import ENVS
from deepcrl.envs import VectorSettings, make_envs, make_task

GOOD = {"num_envs": 2, "episode_length": 10, "seed": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1, got 0"),
        ({"episode_length": 0}, "episode_length must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"num_threads": -2}, "num_threads must be at least 0, got -2"),
        ({"reset": "resampel"}, "'resampel'. Did you mean 'resample'\\? Known: fixed, resample"),
        ({"physics": "mujuco"}, "'mujuco'. Did you mean 'mujoco'\\? Known: mujoco"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message) as error:
        VectorSettings(**{**GOOD, **change})
    assert "\n" not in str(error.value)


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
