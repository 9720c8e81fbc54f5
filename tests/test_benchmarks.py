"""Benchmarks run and give complete rows; what they measure is never a test."""

import importlib
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from deepcrl.core.components import ENVS, discover
from deepcrl.envs.physics.engines import ENGINES
from deepcrl.envs.task import GoalTask

BENCHMARKS_DIR = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def envs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS_DIR))
    for name in ("env_step", "envs"):  # another test may have imported something of that name
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("envs")


def test_envs_gives_a_row_per_variant(envs: ModuleType) -> None:
    rows = envs.run(["point_maze"], num_envs=4, num_threads=1, seconds=0.01, turns=2)
    assert [row["variant"] for row in rows] == ["raw", "env_step", "env_step_over_raw"]
    assert all(row["benchmark"] == "envs" and row["env"] == "point_maze" and row["value"] > 0 for row in rows)


@pytest.mark.parametrize("physics", ENGINES)
def test_env_step_names_its_engine(envs: ModuleType, physics: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = envs.env_step.run(None, num_envs=4, env="point_u_maze", num_threads=1, turns=2, physics=physics)
    assert [(row["variant"], row["physics"], row["device"]) for row in rows] == [
        (variant, physics, "cpu") for variant in ("raw", "env_step", "env_step_over_raw")
    ]
    assert all(row["value"] > 0 for row in rows)
    assert f"point_u_maze {physics} cpu N=4 " in capsys.readouterr().out


def test_envs_measures_both_vector_environments_of_gymnasium(envs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envs, "GYMNASIUM_ENVS", 1)
    assert envs.in_gymnasium("CartPole-v1")
    assert not envs.in_gymnasium("CartPole-v99")
    rates = envs.gymnasium_rate("CartPole-v1", seconds=0.01)
    assert rates.keys() == {"SyncVectorEnv", "AsyncVectorEnv"}
    assert all(rate > 0 for rate in rates.values())


def test_envs_gives_a_row_per_peer(envs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envs, "gymnasium_rate", lambda name, seconds: {"SyncVectorEnv": 5.0, "AsyncVectorEnv": 6.0})
    monkeypatch.setattr(envs, "brax_rate", lambda name, engine, num_envs, seconds: 7.0)
    monkeypatch.setattr(envs.importlib.util, "find_spec", lambda name: name == "brax")
    rows = envs.peer_rates(envs.Peers("Ant-v5", "ant", "mjx"), num_envs=512, seconds=1.0)
    assert [(row["variant"], row["task"], row["num_envs"], row["value"]) for row in rows] == [
        ("SyncVectorEnv", "Ant-v5", envs.GYMNASIUM_ENVS, 5.0),
        ("AsyncVectorEnv", "Ant-v5", envs.GYMNASIUM_ENVS, 6.0),
        ("brax", "ant (mjx)", 512, 7.0),
    ]
    monkeypatch.setattr(envs.importlib.util, "find_spec", lambda name: None)
    assert envs.peer_rates(envs.Peers("None-v5", "ant"), num_envs=512, seconds=1.0) == []


def test_envs_covers_every_family(envs: ModuleType) -> None:
    discover()
    ours = {name for name in ENVS if ENVS[name].__module__.startswith("deepcrl.envs.")}
    assert set(envs.PEERS) <= ours
    tasks = {name for name in ours if issubclass(cast("type", ENVS[name]), GoalTask)}
    assert {ENVS[name] for name in tasks} == {ENVS[name] for name in envs.PEERS}


def test_report_is_timed_by_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        assert not os.environ.get("CI"), "CI has to install Chromium"
        pytest.skip("needs Chromium: apt-get install chromium")
    monkeypatch.syspath_prepend(str(BENCHMARKS_DIR))
    row = importlib.import_module("report").run(num_runs=2, turns=1, json_path=str(tmp_path / "rows.jsonl"))
    assert row["runs"] == 2
    assert row["page_bytes"] > 10_000
    assert row["open_ms"] > 0
    assert json.loads((tmp_path / "rows.jsonl").read_text())["open_ms"] == row["open_ms"]
