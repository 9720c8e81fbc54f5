import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepcrl.core import files
from deepcrl.run.metrics import JsonlLogger, Mark, cut_back, mark, read_rows


def row(step: int, **metrics: float) -> dict[str, float]:
    return {"env_steps": 100 * step, "grad_steps": step, "wall_seconds": 0.5 * step, **metrics}


def write(path: Path, *rows: dict[str, float]) -> None:
    logger = JsonlLogger(path)
    for each in rows:
        logger.log(each)
    logger.close()


def test_rows_round_trip_and_missing_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [row(1, **{"critic/loss": 0.1}), row(2, **{"eval/time_at_goal": 3.0})]
    write(path, *rows)
    assert read_rows(path) == (rows, 0)


def test_steps_stay_integers_and_tensors_become_numbers(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, {**row(1), "critic/loss": torch.tensor(0.5)})  # pyright: ignore[reportArgumentType]
    assert path.read_text() == '{"env_steps": 100, "grad_steps": 1, "wall_seconds": 0.5, "critic/loss": 0.5}\n'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_strict_json(tmp_path: Path, value: float) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, row(1, **{"critic/loss": value}))

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    assert json.loads(path.read_text(), parse_constant=refuse)["critic/loss"] is None
    (read,), _ = read_rows(path)
    assert math.isnan(read["critic/loss"])


def test_a_row_without_counters_is_refused(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path / "metrics.jsonl")
    with pytest.raises(AssertionError, match="wall_seconds"):
        logger.log({"env_steps": 1, "grad_steps": 1})
    logger.close()


def test_a_killed_process_loses_nothing_that_was_logged(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    code = (
        "import os, signal, sys; from deepcrl.run.metrics import JsonlLogger\n"
        "logger = JsonlLogger(sys.argv[1])\n"
        "for i in range(50): logger.log({'env_steps': i, 'grad_steps': i, 'wall_seconds': 0.0})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    rows, corrupt = read_rows(path)
    assert [each["env_steps"] for each in rows] == list(range(50))
    assert corrupt == 0


@pytest.mark.parametrize(
    "bad", [b'{"env_steps": 3, "gra', b"\x00\x00\x00", b"\xff\xfe", b"[1]", b"{}", b'{"env_steps": "3"}', b"3"]
)
def test_torn_lines_are_counted_and_do_not_spread(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, row(1))
    with open(path, "ab") as file:
        file.write(bad)
    assert read_rows(path) == ([row(1)], 1)
    write(path, row(2))
    assert read_rows(path) == ([row(1), row(2)], 1)


def test_cut_back_drops_what_will_be_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(row(i) for i in range(3)))
    kept, at = path.read_bytes(), mark(path)
    write(path, row(3), row(4))
    with open(path, "ab") as file:
        file.write(b'{"env_st')
    for known in (None, at):
        assert cut_back(path, env_steps=200, grad_steps=2, at=known) == ""
        assert path.read_bytes() == kept
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_a_row_at_the_checkpoint_s_own_step_may_be_later_than_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, row(0), row(1))
    kept, at = path.read_bytes(), mark(path)
    write(path, row(2))  # stopped before the evaluation there, which a resumed run has logged
    assert cut_back(path, env_steps=200, grad_steps=2, at=at) == ""
    assert path.read_bytes() == kept


def test_cut_back_looks_at_both_counters(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, {**row(1), "grad_steps": 7}, {**row(1), "grad_steps": 9})
    assert cut_back(path, env_steps=100, grad_steps=8) == ""
    assert [each["grad_steps"] for each in read_rows(path)[0]] == [7]


def test_rows_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert mark(path) == Mark(0, hashlib.sha256(b"").hexdigest())
    write(path, row(0), row(1))
    assert mark(path) == Mark(2, hashlib.sha256(path.read_bytes()).hexdigest())


def test_cut_back_before_the_first_row(tmp_path: Path) -> None:
    assert cut_back(tmp_path / "metrics.jsonl", 0, 0) == ""
    assert cut_back(tmp_path / "metrics.jsonl", 0, 0, mark(tmp_path / "metrics.jsonl")) == ""
    assert os.listdir(tmp_path) == []


CHANGED = {
    "a digit": lambda lines: [lines[0].replace(b"0.0", b"1.0"), *lines[1:]],
    "a line twice": lambda lines: [lines[3], *lines],
    "another order": lambda lines: [*lines[1:4], lines[0], *lines[4:]],
    "white space": lambda lines: [lines[0].replace(b" ", b"  "), *lines[1:]],
}


@pytest.mark.parametrize("change", CHANGED)
def test_changed_rows_are_told_and_kept_in_order(tmp_path: Path, change: str) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(row(i) for i in range(4)))
    at = mark(path)
    write(path, row(4), row(5))
    changed = b"".join(CHANGED[change](path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(changed)
    aside = tmp_path / "metrics.damaged_1.jsonl"
    told = f"{path} is damaged: of the rows before the checkpoint, some are not what they were"
    assert cut_back(path, 300, 3, at) == f"{told}; the file as it was: {aside}"
    assert aside.read_bytes() == changed
    assert [each["env_steps"] for each in read_rows(path)[0]] == [0, 100, 200, 300]


@pytest.mark.parametrize("target", ["nowhere", "metrics.jsonl"])
def test_a_link_that_leads_nowhere_is_left(tmp_path: Path, target: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.symlink_to(target)
    with pytest.raises(OSError, match=f"^{path} is a symbolic link that leads nowhere$"):
        cut_back(path, 300, 3)
    assert path.is_symlink()


DAMAGE = {
    "a torn line": (lambda lines: [lines[0], lines[1][:9] + b"\n", *lines[2:]], "is damaged", "1 of 4", "1 or more"),
    "zeros": (lambda lines: [bytes(50) + b"\n", *lines[1:]], "is damaged", "1 of 4", "1 or more"),
    "no numbers": (lambda lines: [b"{}\n", b"[3]\n", *lines[2:]], "is damaged", "2 of 4", "2 or more"),
    "cut": (lambda lines: [lines[0], lines[1][:9]], "is damaged", "3 of 4", None),
    "lines gone": (lambda lines: lines[2:], "is damaged", "2 of 4", None),
    "another file": (lambda lines: [b"hello\n"], "is damaged", "4 of 4", "1 or more"),
    "emptied": (lambda lines: [], "is empty", "4 of 4", "all"),
    "missing": (None, "is missing", "4 of 4", "all"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("counted", [True, False])  # whether the checkpoint says how many rows there were
def test_lost_rows_are_told_and_the_file_is_kept(tmp_path: Path, damage: str, counted: bool) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(row(i) for i in range(4)))
    at = mark(path)
    write(path, row(4), row(5))
    change, what, lost, lost_uncounted = DAMAGE[damage]
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join(change(lines)) if change else b""
    path.write_bytes(damaged) if change else path.unlink()
    complaint = cut_back(path, 300, 3, at if counted else None)
    lost = lost if counted else lost_uncounted
    aside = tmp_path / "metrics.damaged_1.jsonl"
    if lost is None:  # without a count nobody can know
        assert complaint == ""
        assert not aside.exists()
        return
    told = f"{path} {what}: of the rows before the checkpoint, {lost} are lost"
    assert complaint == told + (f"; the file as it was: {aside}" if damaged else "")
    assert aside.exists() == bool(damaged)
    if damaged:
        assert aside.read_bytes() == damaged
        assert cut_back(path, 300, 3, at).endswith(f"the file as it was: {tmp_path}/metrics.damaged_2.jsonl") or (
            path.read_bytes() == b""
        )
    assert read_rows(path)[1] == 0 if path.exists() else True


def test_a_failing_cut_leaves_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(row(i) for i in range(5)))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=r"Cannot save .*metrics\.jsonl"):
        cut_back(path, 200, 2)
    assert path.read_bytes() == before
