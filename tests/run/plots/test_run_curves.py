import math
from pathlib import Path

import numpy as np
import pytest

from deepcrl.run.metrics import JsonlLogger
from deepcrl.run.plots import run_curves
from deepcrl.run.plots.run_curves import plot_run
from tests.run.runs import ink, make_run


@pytest.mark.parametrize("num_rows", [1, 2, 30, 1000])
def test_curves_for_any_number_of_rows(tmp_path: Path, num_rows: int) -> None:
    (path,) = plot_run(make_run(tmp_path / "run", num_rows))
    assert path == tmp_path / "run" / "plots" / "curves.png"
    assert 0.005 < ink(path) < 0.3


def test_a_metric_never_measured_has_no_chart(tmp_path: Path) -> None:
    (full,) = plot_run(make_run(tmp_path / "full", 30))
    (less,) = plot_run(make_run(tmp_path / "less", 30, drop=("eval/success_any", "critic/logits_neg")))
    assert ink(less) < ink(full)


def test_without_any_metric_there_is_still_a_picture(tmp_path: Path) -> None:
    drop = ("critic/loss", "critic/logits_pos", "critic/logits_neg", "eval/time_at_goal", "eval/success_any")
    assert ink(plot_run(make_run(tmp_path / "run", 1, drop))[0]) > 0


def test_learners_are_drawn_beside_who_acts(tmp_path: Path) -> None:
    metrics = (("eval/time_at_goal", "evaluation"),)
    rows = [{"eval/time_at_goal": 1.0, "deep/eval/time_at_goal": 2.0, "deep/eval/time_at_goal_stderr": 1.0}]
    both = [("eval/time_at_goal", "acting"), ("deep/eval/time_at_goal", "deep")]
    assert run_curves._with_learners(metrics, rows) == both
    assert run_curves._with_learners(metrics, [{"eval/time_at_goal": 1.0}]) == list(metrics)
    losses = (("critic/loss", ""),)
    assert run_curves._with_learners(losses, [{"critic/loss": 1.0, "deep/critic/loss": 2.0}]) == list(losses)
    alone, run = make_run(tmp_path / "alone", 30), make_run(tmp_path / "run", 30)
    logger = JsonlLogger(run / "metrics.jsonl")
    for i in range(30, 60):
        scores = {f"{name}/eval/time_at_goal": i % 7 for name in ("deep", "shallow")}
        logger.log({"env_steps": 1000 * i, "grad_steps": 40 * i, "wall_seconds": 2.0 * i, **scores})
    logger.close()
    assert ink(plot_run(run)[0]) > ink(plot_run(alone)[0])


def test_values_that_are_not_finite_and_a_missing_config(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 5)
    logger = JsonlLogger(run / "metrics.jsonl")
    logger.log({"env_steps": 5000, "grad_steps": 200, "wall_seconds": 10.0, "critic/loss": math.inf})
    logger.close()
    (run / "config.yaml").write_text("a: [")
    assert ink(plot_run(run)[0]) > 0.005
    (run / "config.yaml").unlink()
    assert ink(plot_run(run)[0]) > 0.005


def test_a_run_without_rows_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing_here has no metrics to plot"):
        plot_run(tmp_path / "nothing_here")


def test_speed_and_smoothing() -> None:
    rows = [{"env_steps": 100.0 * i, "grad_steps": 5.0 * i, "wall_seconds": 0.5 * i} for i in range(200)]
    steps, values = run_curves._speed(rows, "env_steps")
    assert len(steps) == 196
    assert values == pytest.approx(200.0)
    assert len(run_curves._speed(rows[:1], "env_steps")[0]) == 0
    assert run_curves._smooth(np.full(300, 2.0)) == pytest.approx(2.0)
    assert run_curves._smooth(np.arange(300.0))[150] == pytest.approx(150.0)


def test_an_offline_run_has_curves(tmp_path: Path) -> None:
    assert 0.005 < ink(plot_run(make_run(tmp_path / "offline", 30, counters={"env_steps": 0}))[0]) < 0.3
