"""Offline from the command line: export what a run collected, learn from it, go on, score it; and every bad input."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows

OFFLINE = ("buffer=dataset", "total_grad_steps=40", "eval_every=20", "checkpoint_every=20")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.fixture
def exported(deepcrl, tiny, kept: Path, tmp_path: Path) -> Path:
    """A dataset that a run of 400 steps has left, made once; the run is not there any more."""
    if not (kept / "out.npz").exists():
        assert deepcrl("train", *tiny, "run_dir=run").code == 0
        result = deepcrl("export", "run", "out.npz")
        assert (result.code, result.err) == (0, "")
        assert result.out == (
            "out.npz: 400 steps in 20 trajectories\n"
            "learn from it: deepcrl train env=point_u_maze episode_length=20 buffer=dataset buffer.path=out.npz\n"
        )
        shutil.rmtree(tmp_path / "run")
        shutil.move(tmp_path / "out.npz", kept)
    shutil.copy(kept / "out.npz", tmp_path)
    return tmp_path / "out.npz"


@pytest.fixture
def offline(deepcrl, tiny, exported: Path) -> Callable[..., object]:
    """Trains offline, in the folder where the dataset is."""
    plain = [override for override in tiny if not override.startswith("buffer.")]
    return lambda *arguments: deepcrl("train", *plain, *OFFLINE, "buffer.path=out.npz", "run_dir=run", *arguments)


def test_from_a_dataset_to_a_score(deepcrl, offline, tmp_path: Path) -> None:
    result = offline()
    assert (result.code, result.err) == (0, "")
    assert "40  10 rounds of 4, all from the dataset" in result.out
    assert " 50% | 20 / 40 grad steps | " in result.out
    rows, _ = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert [(row["env_steps"], row["grad_steps"]) for row in rows] == [(0, 4 * i) for i in range(11)]
    assert [row["grad_steps"] for row in rows if "eval/time_at_goal" in row] == [0, 20, 40]
    assert (tmp_path / "run" / "plots" / "curves.png").stat().st_size > 0
    assert "run after 40 gradient steps, " in deepcrl("eval", "run").out
    assert deepcrl("report", "run", "-o", "report.html").code == 0


def test_goes_on_with_a_larger_total(deepcrl, offline, tmp_path: Path, same) -> None:
    assert offline("total_grad_steps=20").code == 0
    assert "(a larger total_grad_steps would go on)" in deepcrl("train", "resume=run").out
    assert deepcrl("train", "resume=run", "total_grad_steps=40").code == 0
    resumed = checkpoint.find(tmp_path / "run").state
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")[0]
    shutil.rmtree(tmp_path / "run")
    assert offline().code == 0
    same(resumed, checkpoint.find(tmp_path / "run").state)
    same(rows, read_rows(tmp_path / "run" / "metrics.jsonl")[0])


def without(path: Path, *names: str) -> None:
    with np.load(path) as file:
        np.savez(path, allow_pickle=False, **{name: file[name] for name in file if name not in names})


def no_ends(path: Path) -> None:
    with np.load(path) as file:
        np.savez(path, allow_pickle=False, **dict(file) | {"terminals": np.zeros(400)})


def no_rows(path: Path) -> None:
    np.savez(path, observations=np.zeros((0, 4)), actions=np.zeros((0, 2)), terminals=np.zeros(0))


BAD = [
    (lambda path: path.unlink(), "", "buffer.path: there is no file out.npz"),
    (lambda path: path.write_text("a,b"), "", "buffer.path=out.npz is not a whole .npz file: File is not a zip file"),
    (
        lambda path: without(path, "terminals"),
        "",
        "buffer.path=out.npz lacks terminals; it has actions, observations, and ",
    ),
    (no_ends, "", "buffer.path=out.npz has terminals that are all 0: no trajectory ends"),
    (no_rows, "", "buffer.path=out.npz is empty: it has no states"),
    (Path.exists, "env=ant", "buffer.path=out.npz has states of 4 numbers and actions of 2; the env has 29 and 8"),
    (Path.exists, "eval_env=ant", "eval_env=ant does not fit env=point_u_maze: "),
    (
        Path.exists,
        "buffer.path=''",
        "buffer.path is empty; it names a FILE.npz in OGBench's layout, the id of a local ",
    ),
    (Path.exists, "buffer.path=maze-v0", "buffer.path=maze-v0 is not there; it names a FILE.npz in OGBench's layout, "),
    (Path.exists, "total_grad_steps=3", "total_grad_steps=3 is less than one round of grad_steps_per_unroll=4"),
    (Path.exists, "buffer.random_goals=0.5", "buffer.random_goals=0.5 is for an agent that learns from transitions"),
    (Path.exists, "buffer.capacity=9", "Unknown setting of buffer=dataset: 'capacity'. Known: path, random_goals"),
]


@pytest.mark.parametrize(("damage", "override", "message"), BAD, ids=[message for *_, message in BAD])
def test_refuses_in_one_line_and_leaves_nothing(
    offline, exported: Path, tmp_path: Path, damage: Callable[[Path], object], override: str, message: str
) -> None:
    damage(exported)
    error = offline(*override.split()).error
    assert error.startswith(message), error
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_with_other_data(deepcrl, offline, exported: Path, tmp_path: Path) -> None:
    assert offline("total_grad_steps=20").code == 0
    with np.load(exported) as file:
        np.savez(exported, allow_pickle=False, **dict(file) | {"actions": file["actions"] / 2})
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    error = deepcrl("train", "resume=run", "total_grad_steps=40").error
    assert error.endswith("buffer.path=out.npz holds other data than when this was saved")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["total_grad_steps"] == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("export nowhere out2.npz", "There is no checkpoint to read: nowhere does not exist"),
        ("export run", "the following arguments are required: FILE.npz (deepcrl export --help shows the usage)"),
        ("export run out.csv", "A dataset in OGBench's layout is an .npz file, got out.csv"),
        ("export run out.npz", "out.npz exists; name another file, or remove it first"),
        ("export run out2.npz", "run has collected nothing: it learned from buffer=dataset"),
    ],
)
def test_export_refuses(deepcrl, offline, arguments: str, message: str) -> None:
    assert offline("total_grad_steps=4").code == 0
    assert deepcrl(*arguments.split()).error == message


def test_collects_a_file_for_each_seed_and_each_is_learned_from(deepcrl, tiny, tmp_path: Path) -> None:
    maze = ("env=point_maze", "env.layout=perfect_5", "env.cell_size=1", "env.drive=velocity", "env.success_radius=0.3")
    small = ("num_envs=4", "episode_length=40", "num_threads=1")
    result = deepcrl("collect", "walks/{seed}.npz", "--seeds", "2", "--steps", "80", *maze, *small)
    assert (result.code, result.err) == (0, "")
    assert [line.split(" in ")[0] for line in result.out.splitlines()[:2]] == [
        "walks/0.npz: 80 steps",
        "walks/1.npz: 80 steps",
    ]
    assert "learn from it: deepcrl train env=point_maze env.layout=perfect_5 env.layout_seed=1 " in result.out
    assert result.out.endswith("buffer=dataset buffer.path=walks/1.npz\n")
    plain = [override for override in tiny if not override.startswith(("buffer.", "env"))]
    learn = ("buffer.path=walks/{seed}.npz", "env.layout_seed=1", "seed=1", "agent.actor_objective=none", "run_dir=run")
    assert deepcrl("train", *plain, *maze, *OFFLINE, *learn).code == 0
    rows, _ = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert 0 <= rows[-1]["critic/path_solved"] <= 1
    assert "actor/loss" not in rows[-1]
    again = deepcrl("collect", "walks/{seed}.npz", "--seeds", "3", *maze)
    assert (again.code, "walks/0.npz exists" in again.err) == (2, True)
    assert not (tmp_path / "walks" / "2.npz").exists(), "nothing is made before everything is checked"
