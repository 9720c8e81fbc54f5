"""Checkpoints: whole or not there, verified, and loaded without running code."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepcrl.run import checkpoint
from deepcrl.run.checkpoint import Checkpoint, CheckpointError
from deepcrl.run.directory import prepare
from tests.run.saved import STATE, refuses, save, sign


def test_comes_back_bit_by_bit(tmp_path: Path, same) -> None:
    path = save(tmp_path / "checkpoints", 100)
    assert path.name == "step_0000000000100_00000000010"
    same(Checkpoint(path).content, STATE)
    meta = json.loads((path / "meta.json").read_text())
    assert (meta["format_version"], meta["env_steps"], meta["grad_steps"]) == (1, 100, 10)


def test_knows_its_counters_without_reading_and_its_content_on_request(tmp_path: Path) -> None:
    saved = Checkpoint(tmp_path / "run" / "checkpoints" / "step_0000000000100_00000000010")
    assert (saved.env_steps, saved.grad_steps, saved.steps, saved.run_dir) == (100, 10, 100, tmp_path / "run")
    assert Checkpoint(Path("step_0000000000000_00000000010")).steps == 10  # an offline run
    with pytest.raises(CheckpointError, match=r"has no readable meta\.json"):
        _ = saved.config
    save(saved.path.parent, 100, {"config": {"seed": 3}, "run": {"agent": 1}})
    assert (saved.config, saved.state) == ({"seed": 3}, {"agent": 1})


def test_keeps_the_newest(tmp_path: Path) -> None:
    paths = [save(tmp_path, step) for step in (100, 90_000, 2_000_000)]
    assert checkpoint.list_checkpoints(tmp_path) == [Checkpoint(path) for path in paths[1:]]
    assert sorted(os.listdir(tmp_path)) == [path.name for path in paths[1:]]


def test_saving_the_same_step_again_keeps_it(tmp_path: Path, same) -> None:
    first = save(tmp_path, 100, keep=1)
    assert save(tmp_path, 100, keep=1) == first
    same(Checkpoint(first).content, STATE)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_truncated(tmp_path: Path, size: int) -> None:
    path = save(tmp_path, 100)
    os.truncate(path / "state.pt", size)
    assert "is truncated or corrupted (SHA-256 differs)" in refuses(path)


def test_one_flipped_bit(tmp_path: Path) -> None:
    older, path = save(tmp_path, 100), save(tmp_path, 200)
    content = bytearray((path / "state.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "state.pt").write_bytes(content)
    assert refuses(path).endswith(f"is truncated or corrupted (SHA-256 differs); try resume={older}")
    assert Checkpoint(older).content


def test_no_state(tmp_path: Path) -> None:
    path = save(tmp_path, 100)
    (path / "state.pt").unlink()
    assert "is truncated or corrupted" in refuses(path)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "3", '{"format_version": 1}', "\x00"])
def test_damaged_meta(tmp_path: Path, content: str | None) -> None:
    path = save(tmp_path, 100)
    (path / "meta.json").unlink() if content is None else (path / "meta.json").write_text(content)
    assert "has no readable meta.json" in refuses(path)


def test_other_version(tmp_path: Path) -> None:
    path = save(tmp_path, 100)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps(meta | {"format_version": 99}))
    assert "has format version 99; this deepcrl reads version 1" in refuses(path)


class Malicious:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("owned",)


def test_a_state_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path, 100)
    torch.save({"weights": Malicious()}, path / "state.pt")
    sign(path)
    assert "holds more than tensors and plain values: refused" in refuses(path)
    assert not Path("owned").exists()


class Stopped(BaseException):
    """A process that ends, as far as the files are concerned."""


def test_stopped_while_removing_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 100, keep=1)

    def half(path: Path) -> None:
        (path / "meta.json").unlink()
        raise Stopped

    monkeypatch.setattr(checkpoint.shutil, "rmtree", half)
    with pytest.raises(Stopped):
        save(tmp_path, 200, keep=1)
    monkeypatch.undo()
    (newest,) = checkpoint.list_checkpoints(tmp_path)  # what is left of the old one does not pass for a checkpoint
    assert newest.content
    newest = save(tmp_path, 300, keep=1)
    assert os.listdir(tmp_path) == [newest.name]


def test_old_ones_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 100)

    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(checkpoint.shutil, "rmtree", denied)
    with pytest.raises(
        CheckpointError, match=r"^Saved .*0200_.*, but older ones cannot be removed: Permission denied$"
    ):
        save(tmp_path, 200, keep=1)
    assert checkpoint.list_checkpoints(tmp_path)[-1].content


def test_find(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no checkpoint to read: .*run does not exist"):
        checkpoint.find(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / ".writing_step_1").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint to read: .*run holds none"):
        checkpoint.find(tmp_path / "run")
    older, newer = (save(tmp_path / "run" / "checkpoints", step) for step in (100, 200))
    assert checkpoint.find(tmp_path / "run") == Checkpoint(newer)
    assert checkpoint.find(str(older)) == Checkpoint(older)
    assert checkpoint.run_dir_of(older) == checkpoint.run_dir_of(tmp_path / "run") == tmp_path / "run"


def test_find_from_inside_the_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    path = save(run / "checkpoints", 100)
    for inside, name in (
        (run, f"checkpoints/{path.name}"),
        (path.parent, path.name),
        (path, "."),
        (path, f"../{path.name}"),
    ):
        monkeypatch.chdir(inside)
        assert checkpoint.find(Path(name)).path == path
        assert checkpoint.run_dir_of(Path(name)) == run
    monkeypatch.chdir(run)
    assert checkpoint.find(Path(".")).path == Path("checkpoints") / path.name


def test_a_run_directory_may_be_called_like_a_checkpoint(tmp_path: Path) -> None:
    path = save(tmp_path / "step_one" / "checkpoints", 100)
    assert checkpoint.find(tmp_path / "step_one").path == path


def test_sets_newer_ones_aside(tmp_path: Path, same) -> None:
    older, newer = save(tmp_path, 100), save(tmp_path, 200)
    assert checkpoint.set_aside_after(Checkpoint(newer)) == []
    (aside,) = checkpoint.set_aside_after(Checkpoint(older))
    assert checkpoint.list_checkpoints(tmp_path) == [Checkpoint(older)]
    same(aside.content, STATE)
    save(tmp_path, 200)
    assert checkpoint.set_aside_after(Checkpoint(older)) == [aside]  # the second time round as well


def test_goes_back_to_one_that_was_set_aside(tmp_path: Path) -> None:
    directory = tmp_path / "run" / "checkpoints"
    first, second, third = (save(directory, step, keep=3) for step in (100, 200, 300))
    aside = checkpoint.set_aside_after(Checkpoint(first))
    assert [saved.path.name.removeprefix("aside_") for saved in aside] == [second.name, third.name]
    later = save(directory, 250, keep=3)
    assert checkpoint.find(aside[0].path) == aside[0]
    assert checkpoint.run_dir_of(aside[0].path) == aside[0].run_dir == tmp_path / "run"
    assert (aside[0].env_steps, aside[0].grad_steps) == (200, 20)
    assert checkpoint.set_aside_after(aside[0]) == [Checkpoint(later.with_name(f"aside_{later.name}"))]
    assert checkpoint.list_checkpoints(directory) == [Checkpoint(first)]


def test_an_old_one_that_is_a_link_goes_and_what_it_points_to_stays(tmp_path: Path) -> None:
    first, kept = save(tmp_path / "checkpoints", 100), tmp_path / "kept"
    first.rename(kept)
    first.symlink_to(kept)
    for step in (200, 300, 400):
        newest = save(tmp_path / "checkpoints", step, keep=1)
    assert os.listdir(tmp_path / "checkpoints") == [newest.name]
    assert Checkpoint(kept.rename(tmp_path / first.name)).content


def test_a_link_that_was_set_aside_before(tmp_path: Path) -> None:
    older, newer = save(tmp_path, 100), save(tmp_path, 200)
    newer.with_name(f"aside_{newer.name}").symlink_to(older)
    (aside,) = checkpoint.set_aside_after(Checkpoint(older))
    assert aside.env_steps == 200
    assert not aside.path.is_symlink()
    assert Checkpoint(older).content


def test_what_only_looks_like_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "step_one").mkdir(parents=True)
    assert checkpoint.list_checkpoints(tmp_path / "checkpoints") == []
    path = save(tmp_path / "checkpoints", 100)
    assert checkpoint.find(tmp_path).path == path


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ({"mean": np.zeros(3)}, "run/agent/mean is a numpy.ndarray"),
        ({"rate": np.float64(0.5)}, "run/agent/rate is a numpy.float64"),
        ({"seen": [1, (Path("x"), 2)]}, "run/agent/seen/1/0 is a pathlib."),
        ({"fn": lambda: 0}, "run/agent/fn is a function"),
        ({"by": {np.int64(3): 1}}, "a key of run/agent/by is a numpy.int64"),
    ],
)
def test_what_could_not_be_loaded_again_is_not_saved(tmp_path: Path, extra: dict[str, Any], what: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(what)) as raised:
        save(tmp_path, 100, {"run": {"agent": {"weights": torch.zeros(3), **extra}}})
    assert "\n" not in str(raised.value)
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    saved = {}
    for name, run_id in (("mine", "aaa"), ("other", "bbb")):
        prepare(tmp_path / name, {"seed": 0}, resume=False, run_id=run_id)
        saved[name] = save(tmp_path / name / "checkpoints", 100, {"run_id": run_id, "run": {}, "config": {}})
    assert Checkpoint(saved["mine"]).run_id == "aaa"
    in_place = shutil.copytree(saved["other"], saved["mine"].with_name("step_0000000000200_00000000020"))
    assert (
        f"is of another run: bbb, and {tmp_path}/mine/environment.json says aaa; try resume={saved['mine']}"
        in refuses(in_place)
    )
    in_place = shutil.copytree(saved["mine"], tmp_path / "alone" / "checkpoints" / saved["mine"].name)
    assert Checkpoint(in_place).run_id == "aaa"  # nothing says of which run this folder is
    old = save(tmp_path / "mine" / "checkpoints", 300, {"run": {}, "config": {}})
    assert Checkpoint(old).run_id is None  # saved before there were ids


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no state: refused"),
        ({"config": 3, "run": {}}, "holds no config: it is none of a run"),
        ({"config": {}, "run": "x"}, "holds no run: it is none of a run"),
        ({}, "holds no config: it is none of a run"),
    ],
)
def test_a_state_that_is_none(tmp_path: Path, content: Any, message: str) -> None:
    path = save(tmp_path, 100)
    torch.save(content, path / "state.pt")
    sign(path)
    with pytest.raises(CheckpointError, match=message):
        _ = Checkpoint(path).config, Checkpoint(path).state


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04"])
def test_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = save(tmp_path, 100)
    (path / "state.pt").write_bytes(content)
    sign(path)
    assert "holds more than tensors and plain values: refused" in refuses(path)
