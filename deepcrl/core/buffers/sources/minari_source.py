"""Minari datasets (Farama), as its package stores them: `pip install 'deepcrl[offline]'`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deepcrl.core.buffers.sources.trajectories import LAYOUTS, Trajectories, check
from deepcrl.core.types import EnvSpec


class MinariSource:
    """Episodes of T actions and T + 1 observations, which are vectors or dicts with a goal.

    The state of a dict is one of: `observation`; `observation` with `achieved_goal` behind it, as `env=gymnasium` has
    it; with `achieved_goal` before it, as our ant mazes have it. It is the first that has the size of the
    environment's state and holds `achieved_goal` at its goal indices. Actions are scaled from the bounds of the
    dataset's action space to [-1, 1]; `desired_goal` and rewards are not read.
    """

    def __init__(self, path: str) -> None:
        """Reads the sizes, not the data. Raises ValueError, in one line, for a dataset that is not there."""
        self._path, self._dataset = path, _open(path)
        metadata = self._dataset.storage.metadata
        self.num_states = int(metadata["total_steps"]) + int(metadata["total_episodes"])
        observed, acted = metadata["observation_space"], metadata["action_space"]
        spaces = getattr(observed, "spaces", {"observation": observed})
        if "observation" not in spaces or not all(map(_is_vector, (*spaces.values(), acted))):
            raise ValueError(f"buffer.path={path} observes {observed} and acts in {acted}: vectors are needed")
        size = spaces["observation"].shape[0]
        goal = spaces.get("achieved_goal")
        self.state_dims = (size,) if goal is None else (size, size + goal.shape[0])
        self.action_dim, self._low, self._high = acted.shape[0], acted.low, acted.high

    def read(self, spec: EnvSpec) -> Trajectories:
        """Reads every episode; see `Source`."""
        episodes = [self._episode(episode) for episode in self._dataset.iterate_episodes()]
        arrays = [np.concatenate(column) for column in zip(*episodes, strict=True)]
        observation, achieved, action, last, terminated = arrays
        state = self._state(observation, achieved, spec)
        return check(Trajectories(state, action, last, terminated), self._path)

    def _episode(self, episode: Any) -> tuple[np.ndarray, ...]:
        """Returns observation [T + 1, O], achieved goal [T + 1, G or 0], action [T + 1, A] and two flags [T + 1]."""
        observed = (
            episode.observations if isinstance(episode.observations, dict) else {"observation": episode.observations}
        )
        observation = np.asarray(observed["observation"], np.float32)
        achieved = np.asarray(observed.get("achieved_goal", np.zeros((len(observation), 0))), np.float32)
        scaled = np.asarray(episode.actions, np.float32)
        if np.isfinite(self._low).all() and np.isfinite(self._high).all():
            scaled = 2 * (scaled - self._low) / (self._high - self._low) - 1
        action = np.zeros((len(observation), self.action_dim), np.float32)
        action[:-1] = scaled
        last, terminated = np.zeros((2, len(observation)), bool)
        last[-1], terminated[:-1] = True, episode.terminations
        return observation, achieved, action, last, terminated

    def _state(self, observation: np.ndarray, achieved: np.ndarray, spec: EnvSpec) -> np.ndarray:
        for parts in ([observation], [observation, achieved], [achieved, observation]):
            state = np.concatenate(parts, axis=1)
            if state.shape[1] != spec.state_dim:
                continue
            if not achieved.size or np.allclose(state[:, spec.goal_indices], achieved, atol=1e-5):
                return state
        raise ValueError(
            f"buffer.path={self._path} has an achieved_goal that is not at the goal indices "
            f"{list(spec.goal_indices)} of the env's state"
        )


def _open(path: str) -> Any:
    try:
        import minari
    except ImportError as error:
        raise ValueError(f"buffer.path={path} needs Minari: pip install 'deepcrl[offline]'") from error
    folder = Path(path) / "data"
    try:
        return minari.MinariDataset(folder) if folder.is_dir() else minari.load_dataset(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"buffer.path={path} is not there; it names {LAYOUTS}") from error


def _is_vector(space: Any) -> bool:
    return hasattr(space, "low") and len(space.shape) == 1
