"""A sweep that is killed in the middle: the same command goes on with it, bit for bit."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows
from tests.cli.hydra.test_sweep import content, names
from tests.cli.test_processes import FATAL


@pytest.mark.parametrize(
    ("at_call", "left"),
    [(64 + 40, "step_0000000000200_00000000024"), (64 + 3, "step_0000000000000_00000000000")],
)
def test_killed_in_the_middle_the_same_command_goes_on(
    process, tiny, tmp_path: Path, same, at_call: int, left: str
) -> None:
    (tmp_path / "fatal_loss.py").write_text(FATAL)
    command = ("train", *tiny, "loss=fatal", "-m", "seed=0,1,2", "hydra.sweep.dir=sweep")
    killed = process(*command, DEEPCRL_PLUGINS="fatal_loss", AT_CALL=str(at_call), SEND="9")
    assert killed.code == -signal.SIGKILL
    assert names(tmp_path / "sweep") == ["seed=0", "seed=1"]
    kept = checkpoint.list_checkpoints(tmp_path / "sweep" / "seed=1" / "checkpoints")
    assert [saved.path.name for saved in kept[-1:]] == [left]
    complete = content(tmp_path / "sweep" / "seed=0")
    result = process(*command, DEEPCRL_PLUGINS="fatal_loss")
    assert (result.code, result.err) == (0, "")
    assert result.out.count("Already complete: ") == 1
    assert content(tmp_path / "sweep" / "seed=0") == complete
    straight = process("train", *tiny, "loss=fatal", "seed=1", "run_dir=straight", DEEPCRL_PLUGINS="fatal_loss")
    assert straight.code == 0
    rows, torn = read_rows(tmp_path / "sweep" / "seed=1" / "metrics.jsonl")
    assert torn == 0
    same(rows, read_rows(tmp_path / "straight" / "metrics.jsonl")[0])
    assert len(read_rows(tmp_path / "sweep" / "seed=2" / "metrics.jsonl")[0]) == 21
