"""Checkpoints: whole or not there, verified, and loaded without running code."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import IO, cast

import pytest
import torch

from deepcrl.run import checkpoint
from deepcrl.run.checkpoint import Checkpoint, CheckpointError
from tests.run.saved import STATE, refuses, save


def test_a_full_disk_leaves_the_older_ones(tmp_path: Path, same) -> None:
    older = save(tmp_path, 100)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError) as raised:
            save(tmp_path, 200, {"weights": torch.zeros(100_000)}, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(raised.value)
    assert str(raised.value) == (
        f"Could not save checkpoint {tmp_path / 'step_0000000000200_00000000020'}: File too large. "
        f"Go on from the last whole one with resume={older}"
    )
    assert os.listdir(tmp_path) == [older.name]
    same(Checkpoint(older).content, STATE)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("enforce fail\nat some.cc"), r": enforce fail at some\.cc\."),
        (RuntimeError(), r": RuntimeError\."),
        (OSError(), r": OSError\."),
    ],
)
def test_an_error_without_a_reason_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def refuse(*args: object) -> None:
        raise error

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(CheckpointError, match=reason):
        save(tmp_path, 100)


def test_a_second_ctrl_c_while_writing_is_no_error_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = save(tmp_path, 50)
    torch_save = torch.save

    class Stopping:
        def __init__(self, file: IO[bytes]) -> None:
            self.flush, self._file, self._calls = file.flush, file, 0

        def write(self, data: bytes) -> int:
            self._calls += 1
            if self._calls == 3:
                raise KeyboardInterrupt  # which torch answers with a RuntimeError of its own
            return self._file.write(data)

    monkeypatch.setattr(torch, "save", lambda content, file: torch_save(content, cast(IO[bytes], Stopping(file))))
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 100)
    assert [path.name for path in tmp_path.iterdir()] == [older.name]
    assert Checkpoint(older).content


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.os, call, full)
    with pytest.raises(CheckpointError, match=r"No space left on device\. There is no earlier one"):
        save(tmp_path, 100)
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".writing_step_0000000000050_00000000005"
    left.mkdir()
    (left / "state.pt").write_bytes(b"half")
    assert checkpoint.list_checkpoints(tmp_path) == []
    path = save(tmp_path, 100)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["meta.json", "state.pt"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    path = save(tmp_path, 100)
    (path / name).unlink()
    os.mkfifo(path / name)
    said = {"meta.json": "has no readable meta.json", "state.pt": "is truncated or corrupted (SHA-256 differs)"}
    assert refuses(path) == f"Checkpoint {path} {said[name]}"


def test_one_from_before_the_evaluation_at_its_step_gives_way(tmp_path: Path, monkeypatch, same) -> None:
    older = save(tmp_path, 100)
    first = save(tmp_path, 200, STATE | {"num_rows": 3})
    assert save(tmp_path, 200, {"num_rows": 3, "later": True}) == first  # just saved
    same(Checkpoint(first).content, STATE | {"num_rows": 3})
    renamed = os.rename

    def killed(source: Path, target: Path) -> None:
        if Path(source).name.startswith(".writing_"):
            raise KeyboardInterrupt
        renamed(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 200, {"num_rows": 4})
    left = checkpoint.list_checkpoints(tmp_path)[-1]
    same(left.content, STATE | {"num_rows": 3})
    assert (left.env_steps, left.grad_steps) == (200, 20)
    assert save(tmp_path, 200, {"num_rows": 4}) == first
    same(Checkpoint(first).content, {"num_rows": 4})
    assert sorted(os.listdir(tmp_path)) == [older.name, first.name]


@pytest.mark.parametrize("kind", ["a file", "a link that leads nowhere"])
def test_what_is_in_the_place_of_a_newer_one_is_set_aside(tmp_path: Path, same, kind: str) -> None:
    older, newer = save(tmp_path, 100), tmp_path / "step_0000000000200_00000000020"
    newer.write_text("no checkpoint") if kind == "a file" else newer.symlink_to("nowhere")
    (aside,) = checkpoint.set_aside_after(Checkpoint(older))
    assert aside.path.name == f"aside_{newer.name}"
    assert aside.path.is_symlink() == (kind != "a file")
    assert save(tmp_path, 200) == newer
    same(Checkpoint(newer).content, STATE)
