import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deepcrl.run.directory import RunDir
from deepcrl.run.plots.curves import BLUE, _draw_seeds, counter_of, format_axes, plot_runs, read_run, series
from tests.run.runs import ink, make_run


def test_an_offline_run_is_drawn_over_gradient_steps(tmp_path: Path) -> None:
    offline = make_run(tmp_path / "offline", 30, counters={"env_steps": 0})
    rows = read_run(RunDir(offline))
    assert counter_of(rows) == "grad_steps"
    assert series(rows, "eval/time_at_goal")[0].tolist() == [0, 400, 800]
    assert counter_of(read_run(RunDir(make_run(tmp_path / "online", 30)))) == "env_steps"
    plot_runs([offline], "eval/time_at_goal", tmp_path / "runs.png")


def test_axis_of_a_score_that_is_still_zero() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    ax.plot([0, 1], [0.0, 0.0])
    format_axes(ax, (0, None))
    assert ax.get_ylim() == pytest.approx((-0.03, 1.03))


def test_seeds_are_averaged_where_all_of_them_are(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    curves = [(np.array([0.0, 10, 20]), np.array([0.0, 1, 2])), (np.array([0.0, 5, 10]), np.array([2.0, 2.5, 3]))]
    _draw_seeds(ax, curves, BLUE, "depth 4")
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
    code = "import sys, deepcrl.run.plots.curves as _; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
