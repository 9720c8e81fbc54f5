"""Files in OGBench's layout: what is read, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepcrl.core.buffers.sources import open_source
from deepcrl.core.buffers.sources.trajectories import Trajectories
from deepcrl.core.types import EnvSpec

SPEC = EnvSpec(state_dim=3, action_dim=2, goal_indices=(0, 1))


def read(path: str) -> Trajectories:
    return open_source(path).read(SPEC)


def test_reads_what_is_in_it(ogbench) -> None:
    source = open_source(ogbench())
    assert (source.num_states, source.state_dims, source.action_dim) == (17, (3,), 2)
    data = source.read(SPEC)
    assert data.state[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2]
    assert data.last.nonzero()[0].tolist() == [4, 5, 13, 16]
    assert np.allclose(data.action * 100, data.state[:, :2])
    assert not data.terminated.any()
    assert (data.state.dtype, data.action.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -7.0])
def test_an_action_that_was_never_taken_may_be_anything(ogbench, value: float) -> None:
    actions = np.full((17, 2), 0.5)
    actions[[4, 5, 13, 16]] = value
    data = read(ogbench(actions=actions))
    assert (data.action[~data.last] == 0.5).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_number_types_become_float32(ogbench, dtype: type) -> None:
    states = np.ones((17, 3), dtype)
    assert read(ogbench(observations=states)).state.dtype == np.float32


def test_booleans_may_say_where_trajectories_end(ogbench) -> None:
    terminals = np.arange(17) % 4 == 3
    assert read(ogbench(terminals=terminals)).last.nonzero()[0].tolist() == [3, 7, 11, 15, 16]


def test_an_uncompressed_file_of_format_two(ogbench, tmp_path: Path) -> None:
    plain = dict(np.load(ogbench()))
    np.savez(tmp_path / "plain.npz", **plain)
    assert np.array_equal(read(str(tmp_path / "plain.npz")).state, plain["observations"])


ZEROS = np.zeros(17, np.float32)
WRONG_ACTION, NOT_FINITE = np.full((17, 2), 0.5), np.zeros((17, 3))
WRONG_ACTION[3, 1], NOT_FINITE[6, 0] = -2, np.nan
UNSURE = np.where(np.arange(17) % 4 == 3, 1, 0).astype(np.float32)
UNSURE[7] = np.nan
BAD = [
    (
        {"terminals": None},
        "lacks terminals; it has actions, observations, qpos, and OGBench's layout has observations, ",
    ),
    ({"observations": None, "actions": None}, "lacks observations, actions; it has qpos, terminals, and "),
    ({"terminals": ZEROS}, "has terminals that are all 0: no trajectory ends"),
    ({"terminals": ZEROS[1:]}, "of shapes (17, 3), (17, 2), (16,), not [T, S], [T, A], [T]"),
    ({"observations": np.zeros((17, 8, 8, 3))}, "of shapes (17, 8, 8, 3), (17, 2), (17,), not [T, S], [T, A], [T]"),
    ({"actions": WRONG_ACTION}, "has actions between -2 and 0.5; scale them to [-1, 1]"),
    (
        {"actions": WRONG_ACTION * np.nan},
        "has actions that are not finite, first in row 0, which is state 0 of trajectory 0",
    ),
    ({"observations": NOT_FINITE}, "has states that are not finite, first in row 6, which is state 0 of trajectory 2"),
    ({"terminals": UNSURE}, "has terminals that are neither 0 nor 1, first nan in row 7"),
    ({"terminals": ZEROS - 1}, "has terminals that are neither 0 nor 1, first -1 in row 0"),
    ({"actions": np.full((17, 2), "left")}, "cannot be read: could not convert string to float: "),
    ({"actions": np.array([None] * 34).reshape(17, 2)}, "cannot be read: Object arrays cannot be loaded"),
    ({"terminals": ZEROS + 1}, "has no trajectory of two states or more"),
    ({"lengths": ()}, "is empty: it has no states"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_refuses_in_one_line(ogbench, changes: dict[str, np.ndarray], message: str) -> None:
    path = ogbench(**changes)
    with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
        read(path)
    assert str(raised.value).startswith(f"buffer.path={path} ")
    assert message in str(raised.value)


def test_refuses_a_path_that_names_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^buffer.path is empty; it names a FILE.npz in OGBench's layout, "):
        open_source("")
    with pytest.raises(ValueError, match=r"^buffer.path: there is no file .*/none.npz$"):
        open_source(str(tmp_path / "none.npz"))
    with pytest.raises(ValueError, match=r"^buffer.path: there is no file "):
        open_source(str(tmp_path.with_suffix(".npz")))


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_refuses_a_damaged_file(ogbench, keep: int) -> None:
    path = Path(ogbench())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"^buffer.path=.* is not a whole .npz file: [^\n]*$"):
        open_source(str(path))


def test_refuses_bytes_that_changed(ogbench) -> None:
    path = Path(ogbench(observations=np.random.default_rng(0).normal(size=(17, 3))))
    content = bytearray(path.read_bytes())
    content[200] ^= 255  # in the first array's data
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^buffer.path=[^\n]*$"):
        read(str(path))
