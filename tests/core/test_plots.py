import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcrl.core import plots
from deepcrl.core.loggers import JsonlLogger
from deepcrl.core.plots import plot_run, plot_runs
from deepcrl.core.run_dir import RunDir, prepare

NONE: dict[str, int] = {}


def make_run(
    path: Path,
    num_rows: int,
    drop: tuple[str, ...] = (),
    seed: int = 0,
    slope: float = 1.0,
    counters: dict[str, int] = NONE,
) -> Path:
    config = {"env": {"name": "point_u_maze"}, "encoder": {"name": "residual_mlp", "depth": 4}, "seed": seed}
    logger = JsonlLogger(prepare(path, config, resume=False).metrics_path)
    for i in range(num_rows):
        row = {"env_steps": 1000 * i, "grad_steps": 40 * i, "wall_seconds": 2.0 * i, "critic/loss": 1 / (i + 1)}
        row |= {"critic/logits_pos": -1.0, "critic/logits_neg": -2.0 - i}
        if i % 10 == 0:
            row |= {"eval/time_at_goal": slope * i, "eval/time_at_goal_stderr": 1.0, "eval/success_any": 0.5}
        logger.log({key: value for key, value in (row | counters).items() if key not in drop})
    logger.close()
    return path


def ink(path: Path) -> float:
    """Returns the share of pixels that are not white."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > 800
        return float((np.asarray(image.convert("L")) < 250).mean())


@pytest.mark.parametrize("num_rows", [1, 2, 30, 1000])
def test_curves_for_any_number_of_rows(tmp_path: Path, num_rows: int) -> None:
    (path,) = plot_run(make_run(tmp_path / "run", num_rows))
    assert path == tmp_path / "run" / "plots" / "curves.png"
    assert 0.005 < ink(path) < 0.3


def test_a_metric_never_measured_has_no_chart(tmp_path: Path) -> None:
    (full,) = plot_run(make_run(tmp_path / "full", 30))
    (less,) = plot_run(make_run(tmp_path / "less", 30, drop=("eval/success_any", "critic/logits_neg")))
    assert ink(less) < ink(full)


def test_an_offline_run_is_drawn_over_gradient_steps(tmp_path: Path) -> None:
    offline = make_run(tmp_path / "offline", 30, counters={"env_steps": 0})
    assert 0.005 < ink(plot_run(offline)[0]) < 0.3
    rows = plots._rows(RunDir(offline))
    assert plots._counter(rows) == "grad_steps"
    assert plots._series(rows, "eval/time_at_goal")[0].tolist() == [0, 400, 800]
    assert plots._counter(plots._rows(RunDir(make_run(tmp_path / "online", 30)))) == "env_steps"
    plot_runs([offline], "eval/time_at_goal", tmp_path / "runs.png")


def test_without_any_metric_there_is_still_a_picture(tmp_path: Path) -> None:
    drop = ("critic/loss", "critic/logits_pos", "critic/logits_neg", "eval/time_at_goal", "eval/success_any")
    assert ink(plot_run(make_run(tmp_path / "run", 1, drop))[0]) > 0


def test_learners_are_drawn_beside_who_acts(tmp_path: Path) -> None:
    metrics = (("eval/time_at_goal", "evaluation"),)
    rows = [{"eval/time_at_goal": 1.0, "deep/eval/time_at_goal": 2.0, "deep/eval/time_at_goal_stderr": 1.0}]
    both = [("eval/time_at_goal", "acting"), ("deep/eval/time_at_goal", "deep")]
    assert plots._with_learners(metrics, rows) == both
    assert plots._with_learners(metrics, [{"eval/time_at_goal": 1.0}]) == list(metrics)
    losses = (("critic/loss", ""),)
    assert plots._with_learners(losses, [{"critic/loss": 1.0, "deep/critic/loss": 2.0}]) == list(losses)
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
    steps, values = plots._speed(rows, "env_steps")
    assert len(steps) == 196
    assert values == pytest.approx(200.0)
    assert len(plots._speed(rows[:1], "env_steps")[0]) == 0
    assert plots._smooth(np.full(300, 2.0)) == pytest.approx(2.0)
    assert plots._smooth(np.arange(300.0))[150] == pytest.approx(150.0)


def test_axis_of_a_score_that_is_still_zero() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    ax.plot([0, 1], [0.0, 0.0])
    plots._format_axes(ax, (0, None))
    assert ax.get_ylim() == pytest.approx((-0.03, 1.03))


def test_seeds_are_averaged_where_all_of_them_are(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    curves = [(np.array([0.0, 10, 20]), np.array([0.0, 1, 2])), (np.array([0.0, 5, 10]), np.array([2.0, 2.5, 3]))]
    plots._draw_seeds(ax, curves, plots.BLUE, "depth 4")
    mean = ax.lines[-1]
    assert mean.get_label() == "depth 4: mean ± s.e. of 2 seeds"
    np.testing.assert_allclose(np.asarray(mean.get_xydata()), [[0, 1], [5, 1.5], [10, 2]])
    assert len(ax.lines) == 3


def test_overlay_of_seeds_and_of_groups(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"seed{i}", 50 + 10 * i, seed=i, slope=1 + 0.1 * i) for i in range(4)]
    one = plot_runs(runs[:1], "eval/time_at_goal", tmp_path / "out" / "one.png")
    many = plot_runs(runs, "eval/time_at_goal", tmp_path / "many.png", title="ant", ylabel="steps")
    groups = plot_runs({"depth 4": runs[:2], "depth 16": runs[2:]}, "eval/success_any", tmp_path / "groups.png")
    assert all(ink(path) > 0.005 for path in (one, many, groups))


def test_overlay_names_the_run_that_lacks_the_metric(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", 20), make_run(tmp_path / "b", 20, drop=("eval/success_any",))]
    with pytest.raises(ValueError, match="b never measured eval/success_any"):
        plot_runs(runs, "eval/success_any", tmp_path / "out.png")


def test_importing_plots_imports_no_matplotlib() -> None:
    code = "import sys, deepcrl.core.plots as _; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
