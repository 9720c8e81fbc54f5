"""What a vector of environments is made from."""

from __future__ import annotations

import pytest

from deepcrl.envs import EnvInputs

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
        EnvInputs(**{**GOOD, **change})
    assert "\n" not in str(error.value)
