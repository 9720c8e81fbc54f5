import errno
import os
from pathlib import Path

import pytest

from deepcrl.core import files
from deepcrl.core.files import atomic_file, replacing, write_atomic


@pytest.mark.parametrize("content", ["größer\n", b"\x00\xff"])
def test_write_atomic_replaces(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "model.pt"
    write_atomic(path, "old")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(OSError, match=r"^Cannot save .*model\.pt: No space left on device$"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.pt"]


def test_any_interruption_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_atomic(path, "old")

    def interrupted() -> None:
        with atomic_file(path) as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.pt"]


def test_replacing_gives_a_path_with_the_same_ending_that_becomes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("old")
    with replacing(path) as unfinished:
        assert unfinished.suffix == ".mp4"
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_replacing_with_a_file_that_was_never_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("old")
    with pytest.raises(OSError, match=r"^Cannot save .*film\.mp4: No such file or directory$"), replacing(path):
        pass
    assert path.read_text() == "old"
