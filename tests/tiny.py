"""A run small enough for a test, with real parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepcrl.core.components import AGENTS, BUFFERS, ENCODERS, ENERGIES, ENVS, LOGGERS, LOSSES
from deepcrl.training.config import RunConfig
from deepcrl.training.validate import validated

TINY = {
    "num_threads": 1,
    "num_envs": 4,
    "unroll_length": 5,
    "episode_length": 20,
    "batch_size": 16,
    "prefill_steps": 20,
    "grad_steps_per_unroll": 4,
    "total_env_steps": 400,
    "num_eval_envs": 2,
    "eval_every": 100,
    "checkpoint_every": 100,
    "video": False,
}


def tiny_config(**changes: Any) -> RunConfig:
    """20 unrolls of 20 env steps, of which 4 are prefill: 64 gradient steps, evaluated every 100 env steps."""
    values: dict[str, Any] = {
        "env": ENVS.defaults("point_u_maze"),
        "agent": AGENTS.defaults("crl") | {"embedding_dim": 8},
        "encoder": ENCODERS.defaults("residual_mlp") | {"width": 16, "depth": 4},
        "energy": ENERGIES.defaults("norm"),
        "loss": LOSSES.defaults("infonce"),
        "buffer": BUFFERS.defaults("ring") | {"capacity": 200},
        "logger": LOGGERS.defaults("none"),
    }
    return validated(values | TINY | changes)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of 20 random walks of 30 states in OGBench's layout, for `point_u_maze`."""
    rng = np.random.default_rng(0)
    position = rng.normal(size=(20, 30, 2)).cumsum(1)
    arrays = {
        "observations": np.concatenate([position, rng.normal(size=(20, 30, 2))], 2).reshape(600, 4).astype(np.float32),
        "actions": rng.uniform(-1, 1, (600, 2)).astype(np.float32),
        "terminals": (np.arange(600) % 30 == 29).astype(np.float32),
    }
    path = tmp_path_factory.mktemp("dataset") / "walks.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return str(path)


@pytest.fixture
def tiny() -> Callable[..., RunConfig]:
    return tiny_config
