from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from deepcrl.report.groups import by_task
from deepcrl.report.pictures import png
from deepcrl.report.pictures.png import draw_curves, draw_scores
from deepcrl.report.read import read_runs


@pytest.fixture
def task(write, tmp_path: Path):
    for depth in range(1, 9):
        for seed in range(3):
            write(tmp_path / f"{depth}_{seed}", [0, 10 * depth + seed], depth=4 * depth, seed=seed)
    (task,) = by_task(read_runs([tmp_path]).runs)
    return task


def test_only_as_many_curves_as_there_are_colours_and_those_are_the_best(task, tmp_path: Path, monkeypatch) -> None:
    drawn = {}
    monkeypatch.setattr(png, "plot_curves", lambda curves, path, **how: drawn.update(how, curves=curves) or path)
    draw_curves(task, tmp_path / "curves.png")
    assert list(drawn["curves"]) == [f"depth={4 * depth}" for depth in range(3, 9)]
    assert drawn["title"] == "point_u_maze, the best 6 of 8"
    assert drawn["counter"] == "env_steps"
    steps, values = drawn["curves"]["depth=32"][2]
    assert (steps.tolist(), values.tolist()) == ([0, 50_000], [0, 82])


def test_final_scores_are_rows_from_best_to_worst(task, tmp_path: Path, monkeypatch) -> None:
    shown = {}
    monkeypatch.setattr(png, "save_png", lambda figure, path: shown.update(figure=figure))
    draw_scores(task, tmp_path / "scores.png")
    (ax,) = shown["figure"].axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"depth={4 * depth}" for depth in range(1, 9)]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == pytest.approx([10 * depth + 1 for depth in range(1, 9)])


def test_more_rows_make_a_taller_picture(write, tmp_path: Path, task) -> None:
    with Image.open(draw_scores(task, tmp_path / "eight.png")) as eight:
        (two,) = by_task([run for run in task.runs if run.config["encoder"]["depth"] in (4, 8)])
        with Image.open(draw_scores(two, tmp_path / "two.png")) as picture:
            assert picture.height < eight.height
