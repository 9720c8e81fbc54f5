"""Every benchmark by its verb, at its smallest: `deepcrl bench NAME`."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from deepcrl.cli.bench import BENCHMARKS_DIR, NAMES

SMALLEST = {
    "train": (
        *("--precisions", "fp32", "--unrolls", "2", "env=point_u_maze", "num_envs=2", "unroll_length=5"),
        *("episode_length=20", "batch_size=4", "encoder.width=16", "encoder.depth=4", "prefill_steps=20"),
        *("grad_steps_per_unroll=1", "num_threads=1", "num_eval_envs=1"),
    ),
    "update": ("--depths", "4", "--variants", "deepcrl-fp32", "--seconds", "0.01", "--threads", "1"),
    "infonce": ("--batch-sizes", "3", "--rounds", "1", "--threads", "1"),
    "memory": (
        *("--depths", "4", "--precisions", "fp32", "--checkpoint-blocks", "none"),
        *("--batch-size", "4", "--threads", "1"),
    ),
    "env_step": ("--env", "point_u_maze", "--num-envs", "2", "--num-threads", "1"),
    "envs": ("point_maze", "--num-envs", "2", "--num-threads", "1", "--seconds", "0.01"),
    "report": ("--runs", "1", "--turns", "1"),
}


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch):
    """Benchmarks set the number of threads, and are found beside each other."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = set(sys.modules)
    yield
    torch.set_num_threads(threads)
    for name in set(sys.modules) - modules:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == BENCHMARKS_DIR:
            del sys.modules[name]


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_gives_rows(deepcrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name == "report" and not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("needs Chromium: apt-get install chromium")
    monkeypatch.setenv("HOME", str(tmp_path))
    if name == "envs":  # the others' environments are measured for minutes
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = deepcrl("bench", name, *SMALLEST[name], "--json", "~/rows.jsonl")
    assert done.code == 0, done
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert rows
    assert all(row["machine"] and row["versions"] for row in rows)


def test_gpu_says_that_there_is_none(deepcrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert deepcrl("bench", "gpu").code == "bench gpu: this PyTorch sees no GPU"


def test_all_are_tried() -> None:
    assert {*SMALLEST, "gpu"} == set(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_usage(deepcrl, name: str) -> None:
    assert deepcrl("bench", name, "--help").out.startswith("usage: deepcrl bench ")


def test_update_without_flax(deepcrl, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "flax" else found(name, *more))
    error = deepcrl("bench", "update", "--variants", "plain-fp32", "flax-fp32").error
    assert error == ("flax-fp32 needs Flax: pip install 'deepcrl[bench]', or leave it out: --variants plain-fp32")
