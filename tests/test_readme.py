"""Every command and every program in README.md runs, in order, in one folder, and leaves what it promises."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from deepcrl.run.metrics import read_rows
from tests.reader import CONTRIBUTING, README, ROOT, Reader, assert_complete, blocks, commands


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """One that has followed all of README."""
    reader = Reader(tmp_path_factory.mktemp("readme"))
    reader.follow(README.read_text())
    return reader


def test_every_run_is_complete(reader: Reader) -> None:
    typed = [word for line in reader.output for word in shlex.split(line) if line.startswith("deepcrl train")]
    runs = [word.partition("=")[2] for word in typed if word.startswith("run_dir=")]
    assert {"runs/first", "runs/mine"} <= set(runs)
    for run in runs:
        assert_complete(reader.folder / run)


def test_every_run_of_a_sweep_is_complete(reader: Reader) -> None:
    for sweep, losses in (("losses", ("mine", "infonce")), ("joblib", ("infonce", "symmetric_infonce"))):
        runs = [path for path in (reader.folder / "sweeps" / sweep).iterdir() if path.is_dir()]
        assert {run.name for run in runs} == {f"loss={loss},seed={seed}" for loss in losses for seed in (0, 1)}
        for run in runs:
            assert_complete(run)


def test_the_trained_policy_is_scored_filmed_and_trained_further(reader: Reader) -> None:
    run = reader.folder / "runs" / "first"
    assert len((run / "evaluations.jsonl").read_text().splitlines()) == 3
    assert {path.suffix for path in (run / "videos").iterdir()} == {".mp4", ".gif"}
    rows, _ = read_rows(run / "metrics.jsonl")
    assert rows[-1]["env_steps"] == 160


def test_the_loss_is_listed_and_the_curves_are_drawn(reader: Reader) -> None:
    assert "loss=mine\n    Forward InfoNCE with a temperature." in reader.output["deepcrl list losses"]
    assert (reader.folder / "losses.png").stat().st_size > 0


def test_the_tree_and_the_table_name_what_is_there() -> None:
    block = next(block for block in blocks(CONTRIBUTING.read_text()) if block.code.startswith("deepcrl/"))
    parents: list[str] = []
    folders = set()
    for indent, name in re.findall(r"^( *)([a-z]+)/", block.code, flags=re.MULTILINE):
        parents = [*parents[: len(indent) // 2], name]
        folders.add("/".join(parents))
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
    rooms = {f"deepcrl/{path.parent.name}" for path in (ROOT / "deepcrl").glob("*/__init__.py")}
    assert rooms <= folders
    assert [room for room in rooms if f"| `{room}` |" not in README.read_text()] == []


def test_blocks_are_found_and_files_named() -> None:
    text = "```sh\nmake all  # no\ndeepcrl list # yes\n```\nSave as `a.py`:\n\n```python\nx = 1\n```\nThen\n"
    first, second = blocks(text)
    assert commands(first) == [["deepcrl", "list"]]
    assert (first.file_name, second.file_name, second.code) == (None, "a.py", "x = 1\n")


def test_a_command_that_fails_is_shown(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"list losse\s+deepcrl: Unknown kind 'losse'"):
        Reader(tmp_path).follow("```sh\ndeepcrl list losse\n```\n")
