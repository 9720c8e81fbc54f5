"""What runs in this process need not do in every test: draw curves that nobody looks at, size up the same agent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.hydra import Hydra

from deepcrl.core.components import AGENTS, ENCODERS
from deepcrl.core.types import EnvSpec
from deepcrl.run import training
from deepcrl.run.directory import RunDir
from deepcrl.run.plots.curves import read_run
from deepcrl.training.config import RunConfig
from deepcrl.training.sizing import counts
from deepcrl.training.sizing.dry_run import peak_bytes

_get_mode = Hydra.get_mode
NOT_SIZED = ("seed", "run_dir", "resume", "logger", "video", "total_env_steps", "eval_every", "checkpoint_every")
"""Settings on which the memory of a gradient step does not depend."""


def make_quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has runs in this process leave no true picture of their curves, unless the test is marked `draws`, and remember
    the memory of agents that they have sized up before, and has Hydra compose a configuration once instead of twice.
    """
    if not request.node.get_closest_marker("draws"):
        monkeypatch.setattr(training, "plot_run", _no_picture)
    monkeypatch.setattr(counts, "peak_bytes", _remembered)
    monkeypatch.setattr(Hydra, "get_mode", _mode)


def _mode(hydra: Hydra, config_name: str, overrides: list[str]) -> Any:
    """Hydra composes everything to look up whether a config file asks for a sweep; only these kinds of file might."""
    asks = any(word.lstrip("+").startswith(("experiment=", "sweep=", "hydra")) for word in overrides)
    return _get_mode(hydra, config_name, overrides) if asks or "-m" in sys.argv or "--multirun" in sys.argv else None


def _no_picture(run_dir: str | Path) -> list[Path]:
    run = RunDir(Path(run_dir))
    read_run(run)  # which fails where there is nothing to draw
    run.plots_dir.mkdir(parents=True, exist_ok=True)
    (run.plots_dir / "curves.png").write_bytes(b"no picture")
    return [run.plots_dir / "curves.png"]


_known: dict[tuple[Any, ...], int] = {}


def _remembered(config: RunConfig, spec: EnvSpec) -> int:
    settings = {key: value for key, value in config.to_dict().items() if key not in NOT_SIZED}
    parts = (*AGENTS._items.items(), *ENCODERS._items.items())  # other tests may register others under these names
    key = (json.dumps(settings, sort_keys=True), spec, parts)
    if key not in _known:
        _known[key] = peak_bytes(config, spec)
    return _known[key]
