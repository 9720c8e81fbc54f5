import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from deepcrl.core.components import LOGGERS
from deepcrl.run import directory as run_dir
from deepcrl.run.loggers import JsonlLogger, NoMirror, RunInfo, Wandb, read_rows, truncate_after


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
        "import os, signal, sys; from deepcrl.run.loggers import JsonlLogger\n"
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


def test_truncate_after_drops_what_will_be_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(row(i) for i in range(5)))
    kept = b"".join(path.read_bytes().splitlines(keepends=True)[:3])
    with open(path, "ab") as file:
        file.write(b'{"env_st')
    assert truncate_after(path, env_steps=200, grad_steps=2) == 3
    assert path.read_bytes() == kept
    assert truncate_after(path, env_steps=200, grad_steps=2) == 0
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_truncate_after_looks_at_both_counters(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, {**row(1), "grad_steps": 7}, {**row(1), "grad_steps": 9})
    assert truncate_after(path, env_steps=100, grad_steps=8) == 1
    assert [each["grad_steps"] for each in read_rows(path)[0]] == [7]


def test_truncate_after_without_a_file(tmp_path: Path) -> None:
    assert truncate_after(tmp_path / "metrics.jsonl", 0, 0) == 0


def test_failing_truncation_leaves_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(row(i) for i in range(5)))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_dir.os, "fsync", full)
    with pytest.raises(OSError, match=r"Cannot save .*metrics\.jsonl"):
        truncate_after(path, 200, 2)
    assert path.read_bytes() == before


def info(path: Path) -> RunInfo:
    return RunInfo(path, "a_run", {"seed": 3, "encoder": {"depth": 16}})


def test_no_mirror(tmp_path: Path) -> None:
    mirror = LOGGERS.build({"name": "none"}, info(tmp_path))
    assert isinstance(mirror, NoMirror)
    mirror.log(row(1))
    mirror.close()
    assert os.listdir(tmp_path) == []


def test_wandb_options_compose() -> None:
    config = OmegaConf.merge(OmegaConf.structured(LOGGERS.schema("wandb")), {"tags": ["a", "b"], "project": "mine"})
    assert OmegaConf.to_container(config) == {
        "name": "wandb",
        "project": "mine",
        "mode": "offline",
        "entity": "",
        "tags": ["a", "b"],
    }


def test_wandb_refuses_an_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Unknown logger.mode of wandb 'ofline'. Did you mean 'offline'?"):
        Wandb(info(tmp_path), mode="ofline")


def test_wandb_offline_writes_a_run_and_resumes_the_same_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    ids = []
    for step in (1, 2):
        mirror = LOGGERS.build({"name": "wandb", "tags": ["a"]}, info(tmp_path))
        mirror.log(row(step, **{"critic/loss": 0.1, "eval/success_any": math.nan}))
        ids.append(mirror._run.id)
        assert mirror._run.config["encoder"] == {"depth": 16}
        mirror.close()
    assert ids[0] == ids[1] == (tmp_path / "wandb_id").read_text()
    records = list((tmp_path / "wandb").glob(f"offline-run-*/run-{ids[0]}.wandb"))
    assert records
    assert b"critic/loss" in b"".join(each.read_bytes() for each in records)


def test_wandb_without_an_account_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def no_account(**_: object) -> None:
        raise wandb.Error("No API key configured. Use `wandb login` to log in.\nmore")

    monkeypatch.setattr(wandb, "init", no_account)
    with pytest.raises(ValueError, match=r"^wandb does not start: No API key.*offline needs no account\)$"):
        Wandb(info(tmp_path), mode="online")


def test_importing_loggers_imports_no_mirror() -> None:
    code = "import sys, deepcrl.run.loggers as _; sys.exit('wandb' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
