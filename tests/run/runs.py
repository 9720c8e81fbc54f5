"""Run directories with metrics and nothing else, and what was drawn of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from deepcrl.run.directory import prepare
from deepcrl.run.metrics import JsonlLogger

NONE: dict[str, int] = {}


def make_run(
    path: Path,
    num_rows: int,
    drop: tuple[str, ...] = (),
    seed: int = 0,
    slope: float = 1.0,
    counters: dict[str, int] = NONE,
    more: Mapping[str, float] = NONE,
) -> Path:
    config = {"env": {"name": "point_u_maze"}, "encoder": {"name": "residual_mlp", "depth": 4}, "seed": seed}
    logger = JsonlLogger(prepare(path, config, resume=False).metrics_path)
    for i in range(num_rows):
        row = {"env_steps": 1000 * i, "grad_steps": 40 * i, "wall_seconds": 2.0 * i, "critic/loss": 1 / (i + 1)}
        row |= {"critic/logits_pos": -1.0, "critic/logits_neg": -2.0 - i}
        if i % 10 == 0:
            row |= {"eval/time_at_goal": slope * i, "eval/time_at_goal_stderr": 1.0, "eval/success_any": 0.5}
        logger.log({key: value for key, value in (row | counters | dict(more)).items() if key not in drop})
    logger.close()
    return path


def ink(path: Path) -> float:
    """Returns the share of pixels that are not white."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > 800
        return float((np.asarray(image.convert("L")) < 250).mean())
