# pyright: reportAttributeAccessIssue=false
# wandb's records are compiled without stubs
import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from wandb.proto import wandb_internal_pb2

from deepcrl.core.components import LOGGERS
from deepcrl.run.loggers.mirror import LoggerInputs
from deepcrl.run.loggers.none import NoMirror
from deepcrl.run.loggers.wandb import Wandb


def row(step: int, **metrics: float) -> dict[str, float]:
    return {"env_steps": 100 * step, "grad_steps": step, "wall_seconds": 0.5 * step, **metrics}


def info(path: Path) -> LoggerInputs:
    return LoggerInputs(path, "a_run", {"seed": 3, "encoder": {"depth": 16}})


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


def records(path: Path) -> list[wandb_internal_pb2.Record]:
    """Reads a .wandb file: a header of 7 bytes, then LevelDB's log format of wandb's records."""
    content, place, parts, found = path.read_bytes(), 7, b"", []
    assert content[:4] == b":W&B"
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # a block's end is padded
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(wandb_internal_pb2.Record.FromString(parts))
            parts = b""
    return found


def test_wandb_offline_files_of_a_resumed_run_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for steps in ((0, 1, 2, 3), (2, 3, 4), (3, 4, 5, 6)):  # resumed from a checkpoint at step 1, then at 2
        mirror = Wandb(info(tmp_path))
        for step in steps:
            mirror.log(row(step))
        mirror.close()
    files = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) == 3
    logged, resumes = [], []
    for file in files:
        for record in records(file):
            if record.WhichOneof("record_type") == "run":
                resumes.append(record.run.run_id)
            if record.WhichOneof("record_type") == "history":
                items = {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item
                }
                logged.append((items["_step"], items["grad_steps"]))
    assert logged == [(step, step) for step in range(7)]
    assert set(resumes) == {(tmp_path / "wandb_id").read_text()}


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
