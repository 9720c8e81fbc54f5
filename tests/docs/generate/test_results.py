"""A claim's folder is made from its runs, the same bytes from the same runs."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from docs.generate import results

CONFIG = {"env": {"name": "point_u_maze"}, "agent": {"name": "crl"}}
ROW = {"env_steps": 0, "grad_steps": 0, "wall_seconds": 0.0, "eval/time_at_goal": 3.0}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed in (0, 1):
        run = tmp_path / "mine" / "deep" / f"seed={seed}"
        (run / "checkpoints").mkdir(parents=True)
        (run / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"seed": seed}))
        (run / "environment.json").write_text(json.dumps({"starts": [{"command": f"seed={seed}"}]}))
        (run / "metrics.jsonl").write_text(json.dumps(ROW) + "\n")
        (run / "checkpoints" / "state.pt").write_bytes(b"not to be packed")
    return tmp_path / "mine"


def test_a_claim_is_packed_and_scored(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["results", str(runs), "--out", str(tmp_path / "claim")])
    results.main()
    claim = tmp_path / "claim"
    with tarfile.open(claim / "runs.tar.xz") as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "again", filter="data")
    assert names == [f"claim/deep/seed={seed}/{kept}" for seed in (0, 1) for kept in results.KEPT]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (runs / name.removeprefix("claim/")).read_bytes()
    assert yaml.safe_load((claim / "config.yaml").read_text())["seed"] == 0
    assert "seed=0" in (claim / "environment.json").read_text()
    assert "point_u_maze,all runs,2,3.0," in (claim / "scores.csv").read_text()


def test_the_run_to_look_at_is_chosen(runs: Path, tmp_path: Path) -> None:
    results.write(runs, "deep/seed=1", tmp_path / "claim")
    assert yaml.safe_load((tmp_path / "claim" / "config.yaml").read_text())["seed"] == 1
    with pytest.raises(ValueError, match="There is no run 'deep/seed=2' in "):
        results.write(runs, "deep/seed=2", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_same_runs_give_the_same_bytes(runs: Path) -> None:
    before = results.packed(runs, "claim")
    for path in runs.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert results.packed(runs, "claim") == before
