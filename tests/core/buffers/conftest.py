"""Datasets as a test makes them, in the layouts of OGBench and Minari."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LENGTHS = (5, 1, 8, 3)


def arrays(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> dict[str, np.ndarray]:
    """Returns OGBench's arrays of trajectories of so many states [T, 3], (step in trajectory, trajectory, noise)."""
    rng = np.random.default_rng(seed)
    step = np.concatenate([np.arange(n) for n in lengths]) if lengths else np.zeros(0)
    trajectory = np.repeat(np.arange(len(lengths)), lengths)
    state = np.stack([step, trajectory, rng.normal(size=len(step))], 1).astype(np.float32)
    action = np.stack([step, trajectory], 1).astype(np.float32) / 100
    last = step == np.repeat(lengths, lengths) - 1
    return {"observations": state, "actions": action, "terminals": last.astype(np.float32), "qpos": state[:, :2]}


@pytest.fixture
def ogbench(tmp_path: Path) -> Callable[..., str]:
    """Saves `arrays`, changed, as a file in OGBench's layout; None leaves an array out. Returns its path."""

    def save(lengths: tuple[int, ...] = LENGTHS, **changes: Any) -> str:
        path = tmp_path / "data.npz"
        kept: dict[str, Any] = {k: v for k, v in (arrays(lengths) | changes).items() if v is not None}
        np.savez_compressed(path, **kept)
        return str(path)

    return save


@pytest.fixture
def minari_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Creates a dataset with Minari's own function, in a folder of the test. Returns its id."""
    import minari
    from gymnasium.spaces import Box, Dict
    from minari.data_collector import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))

    def create(episodes: list[dict[str, Any]], bound: float = 1.0) -> str:
        def space(array: np.ndarray) -> Box:
            return Box(-np.inf, np.inf, array.shape[1:], array.dtype.type)

        observed = episodes[0]["observations"]
        is_dict = isinstance(observed, dict)
        observation_space = Dict({k: space(v) for k, v in observed.items()}) if is_dict else space(observed)
        action_space = Box(-bound, bound, episodes[0]["actions"].shape[1:], np.float32)
        buffers = []
        for i, episode in enumerate(episodes):
            num = len(episode["actions"])
            ends = [*[False] * (num - 1), True]
            terminated = episode["terminated"]
            flags = {"terminations": ends if terminated else [False] * num, "rewards": [0.0] * num}
            flags["truncations"] = [False] * num if terminated else ends
            buffers.append(
                EpisodeBuffer(id=i, observations=episode["observations"], actions=episode["actions"], **flags)
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody needs to know the author
            minari.create_dataset_from_buffers(
                "test/made-v0", buffers, observation_space=observation_space, action_space=action_space
            )
        return "test/made-v0"

    return create
