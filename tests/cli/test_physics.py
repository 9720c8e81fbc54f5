"""`physics=mujoco_warp` from the command line: a whole run, going on with it, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from deepcrl.run import checkpoint
from deepcrl.run.metrics import read_rows


def test_a_run_and_its_resume_are_one_run(deepcrl, tiny, same, tmp_path: Path) -> None:
    warp = (*tiny, "physics=mujoco_warp", "device=cpu")
    assert deepcrl("train", *warp, "run_dir=whole").code == 0
    assert deepcrl("train", *warp, "total_env_steps=200", "run_dir=parts").code == 0
    assert deepcrl("train", "resume=parts", "total_env_steps=400").code == 0
    whole, parts = (checkpoint.find(tmp_path / name).state for name in ("whole", "parts"))
    assert len(read_rows(tmp_path / "whole" / "metrics.jsonl")[0]) == 21
    for part in ("envs", "agent", "buffer", "observation"):
        same(whole[part], parts[part], part)
    assert deepcrl("eval", "whole", "physics=mujoco").code == 0


def test_another_engine_is_another_run(deepcrl, tiny, tmp_path: Path) -> None:
    assert deepcrl("train", *tiny, "run_dir=run").code == 0
    error = deepcrl("train", "resume=run", "physics=mujoco_warp").error
    assert error.startswith("resume: physics=mujoco_warp contradicts the saved run, which has physics=mujoco; ")


def test_a_missing_package_leaves_nothing_behind(deepcrl, tiny, monkeypatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mujoco_warp" else find(name))
    error = deepcrl("train", *tiny, "physics=mujoco_warp", "run_dir=run").error
    assert error == "physics=mujoco_warp: the package mujoco-warp is not installed; pip install 'deepcrl[warp]'"
    assert list(tmp_path.iterdir()) == []
