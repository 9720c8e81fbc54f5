"""Published scores beside the configurations of a task, in the page's data and as lines in its picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deepcrl.core.components import AGENTS
from deepcrl.report.groups import Task, by_task
from deepcrl.report.pictures import png
from deepcrl.report.pictures.png import draw_curves
from deepcrl.report.published.beside import beside, references
from deepcrl.report.read import read_runs
from deepcrl.run.plots import curves

ELSEWHERE = "published in another simulator (Brax), 100M env steps"


def task_of(path: Path) -> Task:
    (task,) = by_task(read_runs([path]).runs)
    return task


@pytest.fixture
def task(write, tmp_path: Path) -> Task:
    """CRL and ChronoSRL at depth 8, CRL at 12, which nobody published, and SAC; up to 9.5M steps."""
    for name, depth in (("crl", 8), ("chronosrl", 8), ("crl", 12), ("sac", 8)):
        of: dict[str, Any] = {"agent": AGENTS.defaults(name), "env": "ant_u4_maze", "steps": 5_000_000}
        write(tmp_path / f"{name}_{depth}", [0, 60 if name == "sac" else 40], depth=depth, **of)
    return task_of(tmp_path)


def test_a_final_mean_is_a_line_of_the_configurations_that_ran_the_same(task: Task) -> None:
    lines = {
        f"{line.where}: {line.label}": (
            line.value,
            [task.groups[i].runs[0].config["agent"]["name"] for i in line.groups],
        )
        for line in references(task)
    }
    assert lines == {
        f"{ELSEWHERE}: CRL, depth 8": (517.0, ["crl"]),
        f"{ELSEWHERE}: ChronoSRL, depth 8": (836.85, ["chronosrl"]),
    }


def test_the_page_gets_what_each_study_has(task: Task) -> None:
    (study,) = beside(task)
    rows = {
        (group.runs[0].config["agent"]["name"], group.runs[0].config["encoder"]["depth"]): own
        for group, own in zip(task.groups, study["groups"], strict=True)
    }
    assert rows == {
        ("crl", 8): ["CRL", 8, 141.6, [517, 451.2, 591.4]],
        ("chronosrl", 8): ["ChronoSRL", 8, 685.5, [836.85, 753.8, 875.2]],
        ("crl", 12): None,
        ("sac", 8): None,
    }  # fmt: skip
    assert [(label, x, y) for label, _, x, y in study["curves"]] == [
        ("ChronoSRL study, ChronoSRL, depth 8", [3e6, 5e6, 10e6], [290, 528, 703]),
        ("ChronoSRL study, CRL, depth 8", [5e6, 10e6], [48, 152]),
    ]
    (_, crl) = study["tables"]
    label, _, depths, means, lows, highs = crl
    assert (label, depths) == (f"{ELSEWHERE}: CRL", [1, 2, 4, 8, 16, 32, 64])
    assert (means[3], lows[3], highs[3]) == (517, 451.2, 591.4)


def test_the_paper_has_whole_curves_and_no_lines(write, tmp_path: Path) -> None:
    write(tmp_path / "run", [0, 40, 60], env="ant_u4_maze_eval", depth=8, steps=5_000_000)
    task = task_of(tmp_path)
    (study,) = beside(task)
    assert (study["name"], study["lines"], study["tables"], references(task)) == ("paper", [], [], [])
    ((label, groups, steps, _),) = study["curves"]
    assert (label, groups, steps[-1]) == ("paper, CRL, depth 8", [0], 100e6)


@pytest.mark.parametrize("env", ["point_u_maze", "ant_u_maze"])
def test_nothing_of_another_task(write, tmp_path: Path, env: str) -> None:
    write(tmp_path / "run", [0, 40], env=env, depth=8)
    assert beside(task_of(tmp_path)) == references(task_of(tmp_path)) == []


def dashed(task: Task, path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, str]]:
    """Label, value and colour of the dashed lines in a task's picture."""
    shown = {}
    monkeypatch.setattr(curves, "save_png", lambda figure, path: shown.update(figure=figure))
    draw_curves(task, path)
    (ax,) = shown["figure"].axes
    lines = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
    return {str(line.get_label()): (line.get_ydata()[0], line.get_color()) for line in lines}


def test_a_picture_has_a_dashed_line_in_the_colour_of_its_configuration(task: Task, tmp_path, monkeypatch) -> None:
    found = dashed(task, tmp_path / "curves.png", monkeypatch)
    position = next(i for i, group in enumerate(task.groups) if group.runs[0].config["agent"]["name"] == "chronosrl")
    assert found[f"{ELSEWHERE}: ChronoSRL, depth 8"] == (836.85, curves.COLORS[position])
    assert len(found) == 2


def test_a_picture_has_no_line_of_what_it_does_not_show(task: Task, tmp_path: Path, monkeypatch, write) -> None:
    monkeypatch.setattr(png, "MAX_CURVES", 1)  # SAC's
    assert not dashed(task, tmp_path / "curves.png", monkeypatch)
    monkeypatch.setattr(png, "MAX_CURVES", 6)
    write(tmp_path / "point" / "run", [0, 40], depth=8)
    assert not dashed(task_of(tmp_path / "point"), tmp_path / "curves.png", monkeypatch)
