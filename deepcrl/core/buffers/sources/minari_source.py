"""Minari datasets (Farama), as its package stores them: `pip install 'deepcrl[offline]'`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepcrl.core.buffers.sources.trajectories import LAYOUTS, Trajectories, check, flags
from deepcrl.core.types import EnvSpec


class MinariSource:
    """Episodes of T actions and T + 1 observations, which are vectors or dicts with a goal.

    The state of a dict is one of: `observation`; `observation` with `achieved_goal` behind it, as `env=gymnasium` has
    it; with `achieved_goal` before it, as our ant mazes have it. It is the first that has the size of the
    environment's state and holds `achieved_goal` at its goal indices. Actions are scaled from the bounds of the
    dataset's action space to [-1, 1]; nothing else that an episode holds (`desired_goal`, images, rewards) is used.
    An episode of another form is refused, and with it the dataset.
    """

    says_terminations = True

    def __init__(self, path: str) -> None:
        """Reads the sizes, not the data. Raises ValueError, in one line, for a dataset that is missing or damaged."""
        self._path, self._dataset = path, _open(path)
        metadata = self._dataset.storage.metadata
        steps, episodes = (_count(path, metadata, name) for name in ("total_steps", "total_episodes"))
        self.num_states = steps + episodes
        observed, acted = metadata["observation_space"], metadata["action_space"]
        spaces = getattr(observed, "spaces", {"observation": observed})
        self._sizes = {name: spaces[name] for name in ("observation", "achieved_goal") if name in spaces}
        if "observation" not in spaces or not all(map(_is_vector, (*self._sizes.values(), acted))):
            raise ValueError(f"buffer.path={path} observes {observed} and acts in {acted}: vectors are needed")
        self._sizes = {name: space.shape[0] for name, space in self._sizes.items()}
        size, goal = self._sizes["observation"], self._sizes.get("achieved_goal")
        self.state_dims = (size,) if goal is None else (size, size + goal)
        self.action_dim, self._low, self._high = acted.shape[0], acted.low, acted.high

    def read(self, spec: EnvSpec) -> Trajectories:
        """Reads every episode; see `Source`."""
        episodes = list(self._episodes())
        arrays = [np.concatenate(column) for column in zip(*episodes, strict=True)]
        observation, achieved, action, last, terminated = arrays
        if len(observation) != self.num_states:
            total = len(observation) - len(episodes)
            raise ValueError(
                f"buffer.path={self._path}: the episodes have {total} steps together, the metadata says "
                f"{self.num_states - len(episodes)}"
            )
        state = self._state(observation, achieved, spec)
        return check(Trajectories(state, action, last, terminated), self._path)

    def _episodes(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields observation [T + 1, O], achieved goal [T + 1, G or 0], action [T + 1, A] and two flags [T + 1]."""
        for number in range(self._dataset.total_episodes):
            where = f"buffer.path={self._path}: episode {number}"
            try:
                (episode,) = self._dataset.iterate_episodes([number])
                observed = episode.observations
                read = dict(observed) if isinstance(observed, dict) else {"observation": observed}
                read |= {"actions": episode.actions, "terminations": episode.terminations}
                names = (*self._sizes, "actions", "terminations")
                arrays = {name: np.asarray(read[name], np.float32) for name in names if name in read}
            except Exception as error:  # Minari and h5py raise what they stumble over in a damaged file
                raise ValueError(f"{where} cannot be read: {_one_line(error)}") from error
            self._check_shapes(arrays, where)
            yield self._episode(arrays, where)

    def _check_shapes(self, arrays: dict[str, np.ndarray], where: str) -> None:
        if missing := [name for name in self._sizes if name not in arrays]:
            raise ValueError(f"{where} lacks {', '.join(missing)}")
        num_observations, num = (len(np.atleast_1d(arrays[name])) for name in ("observation", "actions"))
        if num_observations != num + 1:
            has, needs = f"{num_observations} observations and {num} actions", f"{num + 1} and {num}"
            raise ValueError(f"{where} has {has}, not {needs}")
        shapes = {name: (num + 1, size) for name, size in self._sizes.items()}
        shapes |= {"actions": (num, self.action_dim), "terminations": (num,)}
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{where} has {name} of shape {arrays[name].shape}, not {shape}")

    def _episode(self, arrays: dict[str, np.ndarray], where: str) -> tuple[np.ndarray, ...]:
        observation, scaled = arrays["observation"], arrays["actions"]
        achieved = arrays.get("achieved_goal", np.zeros((len(observation), 0), np.float32))
        if np.isfinite(self._low).all() and np.isfinite(self._high).all():
            scaled = 2 * (scaled - self._low) / (self._high - self._low) - 1
        action = np.zeros((len(observation), self.action_dim), np.float32)
        action[:-1] = scaled
        last, terminated = np.zeros((2, len(observation)), bool)
        last[-1], terminated[:-1] = True, flags(arrays["terminations"], f"{where} has terminations")
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
    # Not by Minari's own `get_dataset_path`, which makes the folder
    local = Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")
    folders = [root / "data" for root in (Path(path), local / path)]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise ValueError(f"buffer.path={path} is not there; it names {LAYOUTS}")
    try:
        return minari.MinariDataset(folder)
    except Exception as error:  # Minari raises what it stumbles over in a damaged file
        raise ValueError(f"buffer.path={path} cannot be read: {_one_line(error)}") from error


def _count(path: str, metadata: dict[str, Any], name: str) -> int:
    value = metadata.get(name)
    if type(value) is not int or value < 0:
        raise ValueError(f"buffer.path={path} cannot be read: its metadata has {name}={value!r}")
    return value


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def _is_vector(space: Any) -> bool:
    return hasattr(space, "low") and len(space.shape) == 1
