import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deepcrl.report import content
from deepcrl.run.directory import RunDir
from deepcrl.run.metrics import JsonlLogger
from deepcrl.run.plots import curves, panels, stats
from deepcrl.run.plots.curves import _draw_seeds, plot_run, plot_runs, read_run, series
from deepcrl.run.plots.style import BLUE
from deepcrl.training.schedule import counter_of
from tests.run.runs import ink, make_run


def test_an_offline_run_is_drawn_over_gradient_steps(tmp_path: Path) -> None:
    offline = make_run(tmp_path / "offline", 30, counters={"env_steps": 0})
    rows = read_run(RunDir(offline))
    assert counter_of(rows) == "grad_steps"
    assert series(rows, "eval/time_at_goal")[0].tolist() == [0, 400, 800]
    assert counter_of(read_run(RunDir(make_run(tmp_path / "online", 30)))) == "env_steps"
    plot_runs([offline], "eval/time_at_goal", tmp_path / "runs.png")


@pytest.mark.parametrize("num", [2, 5])
def test_seeds_are_summed_up_as_in_the_report_where_all_of_them_are(num: int) -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    runs = [(np.array([0.0, 10, 20]), np.array([0.0, 1, 2])), (np.array([0.0, 5, 10]), np.array([2.0, 2.5, 3]))]
    runs += [(np.array([0.0, 10]), np.array([9.0, 9 + i])) for i in range(num - 2)]
    _draw_seeds(ax, runs, BLUE, "depth 4")
    drawn, expected = ax.lines[-1], stats.band(runs)
    assert drawn.get_label() == f"depth 4: interquartile mean of {num} seeds, 95% interval"
    np.testing.assert_array_equal(np.asarray(drawn.get_xydata()).T, [expected.x, expected.value])
    assert (expected.x[0], expected.x[-1]) == (0, 10)
    if num == 2:  # fewer than four runs: the mean, here of two straight lines
        np.testing.assert_allclose(expected.value, 1 + expected.x / 10)
    (interval,) = (np.asarray(collection.get_paths()[0].vertices) for collection in ax.collections)
    assert (interval[:, 1].min(), interval[:, 1].max()) == (expected.low.min(), expected.high.max())
    assert len(ax.lines) == num + 1


def test_one_seed_is_drawn_as_it_is() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    steps = np.arange(1000.0)
    _draw_seeds(ax, [(steps, np.sin(steps))], BLUE, "depth 4")
    (line,) = ax.lines
    assert line.get_label() == "depth 4: 1 seed"
    np.testing.assert_array_equal(np.asarray(line.get_xydata()).T, [steps, np.sin(steps)])
    assert not ax.collections


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


@pytest.mark.parametrize(
    ("runs", "where"), [([], ""), ({}, ""), ({"depth 4": [], "depth 8": []}, " of 'depth 4', 'depth 8'")]
)
def test_no_runs_are_no_plot(tmp_path: Path, runs: list | dict, where: str) -> None:
    with pytest.raises(
        ValueError, match=f"^There are no runs to plot{where}: eval/success_any of at least one is needed$"
    ):
        plot_runs(runs, "eval/success_any", tmp_path / "out.png")


def test_importing_plots_imports_no_matplotlib() -> None:
    code = "import sys, deepcrl.run.plots.curves as _; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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


OF_METHODS = {panel.title: {key: 0.5 for key, _ in panel.metrics} for panel in panels.OF_METHODS}


@pytest.mark.parametrize(
    "titles",
    [
        (),
        ("Survival Z(s, a)", "Survival loss", "Trajectory falls"),
        ("Goals reached in hindsight", "Goals reached at once", "Time to goals reached later"),
        tuple(OF_METHODS),
    ],
    ids=["crl", "safe_crl", "srl", "all"],
)
def test_what_only_some_methods_measure_is_drawn_of_those(tmp_path: Path, titles: tuple[str, ...]) -> None:
    more = {key: value for title in titles for key, value in OF_METHODS[title].items()}
    run = RunDir(make_run(tmp_path / "run", 30, more=more))
    axes = {ax.get_title(loc="left"): ax for ax in curves._curves(read_run(run), run).axes}
    assert tuple(title for title in axes if title in OF_METHODS) == titles
    assert all(axes[title].get_ylabel() for title in titles)


def test_the_metrics_of_methods_have_a_chart_in_the_report_too() -> None:
    assert {key for of in OF_METHODS.values() for key in of} == {metric.key for metric in content.OF_METHODS}


def test_learners_are_drawn_beside_who_acts(tmp_path: Path) -> None:
    metrics = (("eval/time_at_goal", "evaluation"),)
    rows = [{"eval/time_at_goal": 1.0, "deep/eval/time_at_goal": 2.0, "deep/eval/time_at_goal_stderr": 1.0}]
    both = [("eval/time_at_goal", "acting"), ("deep/eval/time_at_goal", "deep")]
    assert curves._with_learners(metrics, rows) == both
    assert curves._with_learners(metrics, [{"eval/time_at_goal": 1.0}]) == list(metrics)
    losses = (("critic/loss", ""),)
    assert curves._with_learners(losses, [{"critic/loss": 1.0, "deep/critic/loss": 2.0}]) == list(losses)
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
    steps, values = curves._speed(rows, "env_steps")
    assert len(steps) == 196
    assert values == pytest.approx(200.0)
    assert len(curves._speed(rows[:1], "env_steps")[0]) == 0
    assert curves._smooth(np.full(300, 2.0)) == pytest.approx(2.0)
    assert curves._smooth(np.arange(300.0))[150] == pytest.approx(150.0)


def test_an_offline_run_has_curves(tmp_path: Path) -> None:
    assert 0.005 < ink(plot_run(make_run(tmp_path / "offline", 30, counters={"env_steps": 0}))[0]) < 0.3


def test_a_name_may_hold_any_characters(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    runs = {"$\\frac{$": [make_run(tmp_path / "one", 10)], "🤖": [make_run(tmp_path / "two", 10)]}
    plot_runs(runs, "eval/time_at_goal", tmp_path / "runs.png", title="\\$x_1$ 🤖", ylabel="\udcff " * 200)
    assert ink(tmp_path / "runs.png") > 0
    assert not recwarn.list
