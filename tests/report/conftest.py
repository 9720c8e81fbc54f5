"""Run directories in the layout that training leaves, written in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepcrl.core.components import AGENTS, BUFFERS, ENCODERS, ENERGIES, ENVS, LOGGERS, LOSSES
from deepcrl.run.directory import prepare
from deepcrl.run.metrics import JsonlLogger
from deepcrl.training.validate import validated
from tests.tiny import tiny  # noqa: F401 - a fixture


def config_of(env: str = "point_u_maze", depth: int = 4, loss: str = "infonce", **settings: Any) -> dict[str, Any]:
    values = {
        "env": ENVS.defaults(env),
        "agent": AGENTS.defaults("crl"),
        "encoder": ENCODERS.defaults("residual_mlp") | {"depth": depth},
        "energy": ENERGIES.defaults("norm"),
        "loss": LOSSES.defaults(loss),
        "buffer": BUFFERS.defaults("ring"),
        "logger": LOGGERS.defaults("none"),
    }
    return validated(values | settings).to_dict()


def write_run(
    path: Path, scores: list[float], *, evaluate: bool = True, steps: int = 50_000, more: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:  # fmt: skip
    """Writes a run with one evaluation per score, every `steps` env steps, and ten training rows between two."""
    config = config_of(**settings)
    logger = JsonlLogger(prepare(path, config, resume=False).metrics_path)
    for i in range(10 * len(scores)):
        row = {"env_steps": steps * i // 10, "grad_steps": 4 * i, "wall_seconds": 3.0 * i, "critic/loss": 5 / (i + 1)}
        if i % 10 == 0 and evaluate:
            score = scores[i // 10]
            row |= {"eval/time_at_goal": score, "eval/success_any": min(1.0, score / 500)}
            row |= {"eval/final_distance": max(0.1, 8 - score / 100)}
        logger.log(row | (more or {}))
    logger.close()
    return path


@pytest.fixture
def write() -> Callable[..., Path]:
    return write_run
