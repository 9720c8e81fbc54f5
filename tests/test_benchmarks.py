"""Benchmarks run and give complete rows; what they measure is never a test."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS_DIR = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def envs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS_DIR))
    for name in ("env_step", "envs"):  # another test may have imported something of that name
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("envs")


def test_envs_gives_a_row_per_variant(envs: ModuleType) -> None:
    rows = envs.run(["point_u_maze"], num_envs=4, num_threads=1, seconds=0.01, turns=2)
    assert [row["variant"] for row in rows] == ["raw", "env_step", "env_step_over_raw"]
    assert all(row["benchmark"] == "envs" and row["env"] == "point_u_maze" and row["value"] > 0 for row in rows)


def test_envs_measures_both_vector_environments_of_gymnasium(envs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envs, "GYMNASIUM_ENVS", 1)
    rates = envs.gymnasium_rate("CartPole-v1", seconds=0.01)
    assert rates.keys() == {"SyncVectorEnv", "AsyncVectorEnv"}
    assert all(rate > 0 for rate in rates.values())
