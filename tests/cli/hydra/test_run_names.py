"""Folders of a sweep: flat, short, unique and readable."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from deepcrl.cli.hydra.run_names import MAX_NAME_BYTES, run_name

LONG = "x" * 260


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["loss=dcl", "seed=0"], "loss=dcl,seed=0"),
        (["seed=0", "energy=norm", "loss=dcl"], "energy=norm,loss=dcl,seed=0"),
        (["agent.actor_lr=1e-4"], "agent.actor_lr=1e-4"),
        (["encoder.depth=4", "fixed=3"], "encoder.depth=4"),
        (["++env.kwargs.x=1"], "env.kwargs.x=1"),
        (["env.goal_steps=[1,2]"], r"env.goal_steps=1-2-\w{6}"),
        (["buffer.path='a/x.npz'"], r"buffer.path=a-x.npz-\w{6}"),
        (["env.id=ogbench:maze-v0"], r"env.id=ogbench-maze-v0-\w{6}"),
        (["buffer.path=" + LONG], r"buffer.path=x{41}-\w{6}"),
        (["fixed=3"], "run"),
        ([], "run"),
    ],
)
def test_names(overrides: list[str], name: str) -> None:
    assert re.fullmatch(name.replace("++", r"\+\+"), run_name(overrides, ["fixed"]))


def test_different_values_have_different_folders() -> None:
    values = [
        "[1,2]",
        "[1,-2]",
        "1-2",
        "'[1,2]x'",
        "a/b",
        "a:b",
        "a-b",
        LONG,
        f"{LONG}y",
        "'a b'",
        "'a=b'",
        "{a:1}",
        "../a",
    ]
    names = [run_name([f"k={value}"], []) for value in values]
    assert len(set(names)) == len(values)
    assert all(re.fullmatch(r"k=[\w.+-]+", name) for name in names), names  # nothing for a shell or a glob
    many = [run_name([f"setting_{i}={LONG[:30]}" for i in range(20)] + [f"z={j}"], []) for j in range(3)]
    assert len(set(many)) == 3
    assert all(len(name.encode()) <= MAX_NAME_BYTES for name in many)


def test_values_with_slashes_fail_and_succeed_side_by_side(deepcrl, tiny, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = Path("data/x.npz")
    ends = np.arange(60) % 30 == 29
    arrays = {"observations": np.ones((60, 4), np.float32), "actions": np.ones((60, 2), np.float32), "terminals": ends}
    np.savez(tmp_path / path, allow_pickle=False, **arrays)
    common = [word for word in tiny if not word.startswith(("buffer.", "total_env"))]
    sweep = ("-m", "buffer=dataset", f"buffer.path={path},b/y.npz", "total_grad_steps=4", "hydra.sweep.dir=s")
    result = deepcrl("train", *common, *sweep, "eval_every=4", "checkpoint_every=4")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("deepcrl: 1 of 2 runs are not complete; ")
    assert re.search(r"buffer.path=data-x.npz-\w{6} +complete ", result.out)
    assert re.search(r"buffer.path=b-y.npz-\w{6} +failed +buffer.path: there is no file b/y.npz", result.out)
    assert sum(path.is_dir() for path in (tmp_path / "s").iterdir()) == 2


def test_a_failed_run_in_a_nested_folder_of_ones_own_is_seen(deepcrl, tiny, tmp_path: Path) -> None:
    nested = ("hydra.sweep.subdir=a/${hydra.job.num}", "hydra.sweep.dir=s")
    result = deepcrl("train", *tiny, "-m", "seed=0", "encoder.depth=6", *nested)
    assert result.code == 2
    assert re.search(r"a/0 +failed +encoder.depth is 6", result.out)


def test_a_sweep_over_one_run_has_a_folder_for_it(deepcrl, tiny, tmp_path: Path) -> None:
    result = deepcrl("train", *tiny, "-m", "seed=1", "encoder.depth=6", "hydra.sweep.dir=s")
    assert result.code == 2
    assert (tmp_path / "s" / "run" / "error.txt").exists()


def test_a_sweep_does_not_resume(deepcrl, tiny, tmp_path: Path) -> None:
    error = deepcrl("train", "-m", "resume=a/b,c").error
    assert error == "resume= goes on with one run, and a sweep makes its own; leave out -m, or resume="
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("hydra.sweep.dir=file", "Cannot write to hydra.sweep.dir=file: it is a file"),
        ("hydra.sweep.dir=file/x", "Cannot write to hydra.sweep.dir=file/x: Not a directory"),
        ("hydra.sweep.dir=a/b loss=infonce,inofnce", "Unknown loss 'inofnce'. Did you mean 'infonce'?"),
        (
            "hydra.sweep.dir=a hydra/launcher=submitit_local hydra.launcher.timout_min=5",
            "Unknown setting of hydra.launcher: 'timout_min'. Did you mean 'timeout_min'? Known: ",
        ),
        (
            "hydra.sweep.dir=a hydra/launcher=submitit_slurm hydra.launcher.parttion=gpu",
            "Unknown setting of hydra.launcher: 'parttion'. Did you mean 'partition'? Known: ",
        ),
        (
            "hydra.sweep.dir=a hydra/launcher=joblib hydra.launcher.n_jbs=5",
            "Unknown setting of hydra.launcher: 'n_jbs'. Did you mean 'n_jobs'? Known: ",
        ),
    ],
)
def test_a_refused_sweep_leaves_nothing(deepcrl, tiny, tmp_path: Path, arguments: str, message: str) -> None:
    (tmp_path / "file").write_text("mine")
    assert deepcrl("train", *tiny, "-m", "seed=0,1", *arguments.split()).error.startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_refused_sweep_leaves_what_was_there(deepcrl, tiny, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    np.save(tmp_path / "s" / "mine.npy", np.zeros(1))
    assert deepcrl("train", *tiny, "-m", "seed=0,1", "hydra.sweep.dir=s", "loss=inofnce,dcl").code == 2
    assert (tmp_path / "s" / "mine.npy").exists()
