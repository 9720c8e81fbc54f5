import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from deepcrl.run import lock as module
from deepcrl.run.lock import lock


def test_a_second_lock_names_the_directory_and_the_holder(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(ValueError, match=f"{tmp_path} is being written .* process {os.getpid()}$"):
        lock(tmp_path)


def test_closing_frees_the_directory(tmp_path: Path) -> None:
    lock(tmp_path).close()
    lock(tmp_path).close()


def test_a_killed_process_frees_the_directory(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from deepcrl.run.lock import lock; held = lock(Path({str(tmp_path)!r}));"
    code += "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    lock(tmp_path).close()


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Cannot write to run_dir .*/none: No such file"):
        lock(tmp_path / "none")


def test_a_file_that_its_holder_removed_meanwhile_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take, calls = module._take, 0

    def removed_before(file: IO[str], directory: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            (tmp_path / module.NAME).unlink()
        take(file, directory)

    monkeypatch.setattr(module, "_take", removed_before)
    with lock(tmp_path):
        assert calls == 2
        with pytest.raises(ValueError, match="is being written by another"):
            lock(tmp_path)
