"""Datasets made by Minari itself: vectors, dicts with a goal, and what does not fit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepcrl.core.buffers.sources import open_source
from deepcrl.core.types import EnvSpec


def episodes(goal_is_observed: bool = True, dicts: bool = True) -> list[dict[str, Any]]:
    """Two episodes of 4 and 6 actions; the second ends by itself."""
    rng, made = np.random.default_rng(0), []
    for num, terminated in ((4, False), (6, True)):
        observation = rng.normal(size=(num + 1, 3))
        achieved = observation[:, 1:] if goal_is_observed else rng.normal(size=(num + 1, 2))
        observed = {"observation": observation, "achieved_goal": achieved, "desired_goal": achieved * 0}
        action = rng.uniform(-1, 1, (num, 2)).astype(np.float32)
        made.append({"observations": observed if dicts else observation, "actions": action, "terminated": terminated})
    return made


def states(made: list[dict[str, Any]], *keys: str) -> np.ndarray:
    parts = [np.concatenate([episode["observations"][key] for key in keys], 1) for episode in made]
    return np.concatenate(parts).astype(np.float32)


def test_an_episode_has_one_state_more_than_actions(minari_dataset) -> None:
    made = episodes()
    source = open_source(minari_dataset(made))
    assert (source.num_states, source.state_dims, source.action_dim) == (12, (3, 5), 2)
    data = source.read(EnvSpec(3, 2, (1, 2)))
    assert np.array_equal(data.state, states(made, "observation"))
    assert data.last.nonzero()[0].tolist() == [4, 11]
    assert data.terminated.nonzero()[0].tolist() == [10]
    for first, episode in ((0, made[0]), (5, made[1])):
        actions = episode["actions"]
        assert np.allclose(data.action[first : first + len(actions)], actions)
        assert not data.action[first + len(actions)].any()


@pytest.mark.parametrize(
    ("goal_indices", "keys"),
    [((3, 4), ("observation", "achieved_goal")), ((0, 1), ("achieved_goal", "observation"))],
)
def test_the_achieved_goal_stands_where_the_env_says(
    minari_dataset, goal_indices: tuple[int, ...], keys: tuple
) -> None:
    made = episodes(goal_is_observed=False)
    data = open_source(minari_dataset(made)).read(EnvSpec(5, 2, goal_indices))
    assert np.array_equal(data.state, states(made, *keys))


def test_refuses_goal_indices_that_hold_another_goal(minari_dataset) -> None:
    path = minari_dataset(episodes(goal_is_observed=False))
    with pytest.raises(ValueError, match=r"has an achieved_goal that is not at the goal indices \[1, 2\] of the env's"):
        open_source(path).read(EnvSpec(5, 2, (1, 2)))


def test_a_vector_is_the_state(minari_dataset) -> None:
    made = episodes(dicts=False)
    source = open_source(minari_dataset(made))
    assert source.state_dims == (3,)
    data = source.read(EnvSpec(3, 2, (0,)))
    assert np.array_equal(data.state, np.concatenate([e["observations"] for e in made]).astype(np.float32))


def test_actions_are_scaled_to_the_unit_box(minari_dataset) -> None:
    made = episodes()
    data = open_source(minari_dataset(made, bound=2.0)).read(EnvSpec(3, 2, (1, 2)))
    assert np.allclose(data.action[:4], made[0]["actions"] / 2)


@pytest.mark.parametrize("observed", [{"position": np.zeros((3, 2))}, {"observation": np.zeros((3, 8, 8))}])
def test_refuses_what_is_no_vector(minari_dataset, observed: dict[str, np.ndarray]) -> None:
    episode = {"observations": observed, "actions": np.zeros((2, 2), np.float32), "terminated": False}
    with pytest.raises(
        ValueError, match=r"^buffer.path=test/made-v0 observes Dict.* acts in Box.*: vectors are needed$"
    ):
        open_source(minari_dataset([episode]))


def test_a_folder_names_a_dataset_too(minari_dataset, tmp_path: Path) -> None:
    made = episodes()
    folder = tmp_path / "minari" / minari_dataset(made)
    data = open_source(str(folder)).read(EnvSpec(3, 2, (1, 2)))
    assert np.array_equal(data.state, states(made, "observation"))


def test_refuses_a_dataset_that_is_not_here(minari_dataset) -> None:
    with pytest.raises(ValueError, match=r"^buffer.path=point/maze-v0 is not there; it names a FILE.npz in [^\n]*$"):
        open_source("point/maze-v0")


def test_looking_for_a_dataset_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"^buffer.path=point/maze-v0 is not there; "):
        open_source("point/maze-v0")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def damaged(minari_dataset, tmp_path: Path) -> Callable[..., str]:
    """The path of a dataset of two episodes in whose HDF5 file `change` has been called on the second."""
    import h5py

    def damage(change: Callable[[Any], None]) -> str:
        path = minari_dataset(episodes())
        with h5py.File(tmp_path / "minari" / path / "data" / "main_data.hdf5", "r+") as file:
            change(file["episode_1"])
        return path

    return damage


def put(name: str, values: np.ndarray) -> Callable[[Any], None]:
    def change(episode: Any) -> None:
        del episode[name]
        episode[name] = values

    return change


def without(name: str) -> Callable[[Any], None]:
    return lambda episode: episode.__delitem__(name)


NAN_ACTION = np.zeros((6, 2))
NAN_ACTION[4] = np.nan
DAMAGE = [
    (put("observations/observation", np.zeros((6, 3))), "has 6 observations and 6 actions, not 7 and 6"),
    (put("actions", np.zeros((5, 2))), "has 7 observations and 5 actions, not 6 and 5"),
    (put("actions", np.zeros((6, 3))), "has actions of shape (6, 3), not (6, 2)"),
    (put("actions", np.array(0.0)), "has 7 observations and 1 actions, not 2 and 1"),
    (put("actions", np.array([[b"up", b"down"]] * 6)), "cannot be read: ValueError: could not convert string to float"),
    (put("observations/observation", np.zeros((7, 4))), "has observation of shape (7, 4), not (7, 3)"),
    (put("observations/achieved_goal", np.zeros((6, 2))), "has achieved_goal of shape (6, 2), not (7, 2)"),
    (put("terminations", np.zeros(5)), "has terminations of shape (5,), not (6,)"),
    (put("terminations", np.full(6, np.nan)), "has terminations that are neither 0 nor 1, first nan in row 0"),
    (without("observations/achieved_goal"), "lacks achieved_goal"),
    (without("actions"), "cannot be read: KeyError: "),
    (without("terminations"), "cannot be read: KeyError: "),
]


@pytest.mark.parametrize(("change", "message"), DAMAGE)
def test_an_episode_that_does_not_fit_is_named(damaged, change: Callable, message: str) -> None:
    path = damaged(change)
    with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
        open_source(path).read(EnvSpec(3, 2, (1, 2)))
    assert str(raised.value).startswith(f"buffer.path={path}: episode 1 {message}")


def test_numbers_that_are_not_finite_are_placed(damaged) -> None:
    with pytest.raises(
        ValueError, match="has actions that are not finite, first in row 9, .* state 4 of trajectory 1$"
    ):
        open_source(damaged(put("actions", NAN_ACTION))).read(EnvSpec(3, 2, (1, 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_steps": 12}, r": the episodes have 10 steps together, the metadata says 12$"),
        ({"total_episodes": 1}, r": the episodes have 4 steps together, the metadata says 10$"),
        ({"total_episodes": 3}, r": episode 2 cannot be read: KeyError: "),
        ({"total_steps": "many"}, r" cannot be read: its metadata has total_steps='many'$"),
        ({"total_steps": None}, r" cannot be read: its metadata has total_steps=None$"),
        ({"data_format": "xml"}, r" cannot be read: KeyError: 'xml'$"),
        ({"dataset_id": 3}, r" cannot be read: AssertionError$"),
        ({"minari_version": "0.0.1"}, r" cannot be read: ValueError: The installed Minari version .* 0.0.1"),
    ],
)
def test_metadata_that_lie(minari_dataset, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = minari_dataset(episodes())
    metadata = tmp_path / "minari" / path / "data" / "metadata.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | change))
    with pytest.raises(ValueError, match=f"^buffer.path={path}{message}") as raised:
        open_source(path).read(EnvSpec(3, 2, (1, 2)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "keep"), [("metadata.json", 100), ("metadata.json", 0), ("main_data.hdf5", 3000)])
def test_a_truncated_file(minari_dataset, tmp_path: Path, name: str, keep: int) -> None:
    path = minari_dataset(episodes())
    file = tmp_path / "minari" / path / "data" / name
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=rf"^buffer.path={path}(: episode 0)? cannot be read: [^\n]*$"):
        open_source(path).read(EnvSpec(3, 2, (1, 2)))


def test_what_is_not_read_may_have_any_form(minari_dataset) -> None:
    made = episodes()
    for episode in made:
        episode["observations"]["image"] = np.zeros((len(episode["actions"]) + 1, 8, 8, 3))
    data = open_source(minari_dataset(made)).read(EnvSpec(3, 2, (1, 2)))
    assert np.array_equal(data.state, states(made, "observation"))


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ValueError, match=r"^buffer.path=point/maze-v0 needs Minari: pip install 'deepcrl\[offline\]'$"):
        open_source("point/maze-v0")
