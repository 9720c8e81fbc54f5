"""The recorder of the loop: every logger gets every row and is closed; what cannot be written is said in one line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from deepcrl.run.checkpoint import list_checkpoints
from deepcrl.run.directory import RunDir
from deepcrl.run.recorder import RecordError, RunRecorder, resume_hint
from deepcrl.training.build import build_run

PARTS = {"config", "git", "run", "run_id", "num_rows", "rows_sha256"}
ROW = {"env_steps": 0, "grad_steps": 0, "wall_seconds": 0.0}


class Log:
    """Keeps rows; raises an error when it is told something, or when it is closed."""

    def __init__(self, on_log: Exception | None = None, on_close: Exception | None = None) -> None:
        self.rows: list[Any] = []
        self.closed = False
        self._on_log, self._on_close = on_log, on_close

    def log(self, row: Any) -> None:
        self.rows.append(row)
        if self._on_log:
            raise self._on_log

    def close(self) -> None:
        self.closed = True
        if self._on_close:
            raise self._on_close


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_every_logger_gets_every_row(tiny, tmp_path: Path) -> None:
    logs = [Log(), Log()]
    recorder = RunRecorder(tiny(), RunDir(tmp_path), [*logs])
    rows = [ROW, ROW | {"eval/time_at_goal": 3.0}, ROW | {"critic/loss": 1.0}]
    for row in rows:
        recorder.log(row)
    assert [log.rows for log in logs] == [rows, rows]


def test_every_logger_is_closed_whatever_one_of_them_raises(tiny, tmp_path: Path) -> None:
    logs = [Log(), Log(on_close=RuntimeError("no\nnetwork")), Log(on_close=full()), Log()]
    assert RunRecorder(tiny(), RunDir(tmp_path), [*logs]).close() == ["Log did not close: no network"]
    assert all(log.closed for log in logs)


def test_saves_and_dumps_beside_each_other(tiny, tmp_path: Path, same) -> None:
    config, directory = tiny(keep_checkpoints=1), RunDir(tmp_path)
    run, recorder = build_run(config), RunRecorder(config, RunDir(tmp_path), [])
    recorder.save(run)
    run.progress.env_steps = 20
    recorder.save(run)
    (saved,) = list_checkpoints(directory.checkpoints_dir)
    assert (saved.env_steps, saved.config, set(saved.content)) == (20, config.to_dict(), PARTS)
    assert recorder.dump(run) == str(tmp_path / "nan_dump" / saved.path.name)
    meta = [json.loads((path / "meta.json").read_text()) for path in (saved.path, Path(recorder.dump(run)))]
    assert [m["env_steps"] for m in meta] == [20, 20]


def test_a_full_disk_says_from_where_the_run_can_be_resumed(tiny, tmp_path: Path) -> None:
    recorder = RunRecorder(tiny(), RunDir(tmp_path), [Log(on_log=full())])
    where = f"Cannot write metrics to {tmp_path}/metrics.jsonl: No space left on device"
    with pytest.raises(RecordError) as raised:
        recorder.log(ROW)
    assert str(raised.value) == f"{where}; start it anew with resume={tmp_path}"  # there is no checkpoint yet
    recorder.save(build_run(tiny()))
    hint = f"; go on from the last checkpoint with resume={tmp_path}/checkpoints/step_0000000000000_00000000000"
    assert resume_hint(RunDir(tmp_path)) == hint
    with pytest.raises(RecordError) as raised:
        recorder.log(ROW)
    assert str(raised.value) == where + hint
