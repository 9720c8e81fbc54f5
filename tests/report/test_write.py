from __future__ import annotations

import csv
import re
from pathlib import Path

import yaml

from deepcrl.report.read import read_runs
from deepcrl.report.write import file_names, write_csv, write_page, write_pngs


def test_the_page_needs_nothing_else(write, tmp_path: Path) -> None:
    found = read_runs([write(tmp_path / "run", [0, 1])])
    write_page(found, tmp_path / "out" / "report.html", "A <b>bold</b> & title")
    text = (tmp_path / "out" / "report.html").read_text()
    assert "A &lt;b&gt;bold&lt;/b&gt; &amp; title" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "@CONTENT@" not in text


def test_no_value_can_end_the_script(write, tmp_path: Path) -> None:
    found = read_runs([write(tmp_path / "</script><script>alert(1)</script>", [0, 1])])
    write_page(found, tmp_path / "report.html", "title")
    assert "alert(1)</script>" not in (tmp_path / "report.html").read_text()


def test_the_table_has_a_row_per_configuration(write, tmp_path: Path) -> None:
    for depth in (4, 8):
        for seed in (0, 1):
            write(tmp_path / f"{depth}_{seed}", [0, depth + seed], depth=depth, seed=seed)
    write_csv(read_runs([tmp_path]), tmp_path / "out" / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").open()))
    assert [(row["configuration"], row["runs"], float(row["eval/time_at_goal"])) for row in rows] == [
        ("depth=4", "2", 4.5),
        ("depth=8", "2", 8.5),
    ]
    assert 4 <= float(rows[0]["eval/time_at_goal_low"]) <= 4.5 <= float(rows[0]["eval/time_at_goal_high"]) <= 5


def test_a_picture_per_task(write, tmp_path: Path) -> None:
    for env in ("point_u_maze", "point_big_maze"):
        write(tmp_path / env, [0, 1], env=env)
    files = write_pngs(read_runs([tmp_path]), tmp_path / "pictures")
    write(tmp_path / "deeper", [0, 2], depth=8)
    more = write_pngs(read_runs([tmp_path]), tmp_path / "pictures")
    assert [file.name for file in files] == ["point_big_maze.png", "point_u_maze.png"]
    assert [file.name for file in more[1:]] == ["point_u_maze.png", "point_u_maze_scores.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_file_names_of_whatever_a_config_calls_its_env() -> None:
    assert file_names(["point_u_maze", "Ant-v5", "/etc/x", "etc x", "../..", "a" * 300]) == [
        "point_u_maze",
        "Ant-v5",
        "etc_x",
        "etc_x_2",
        "env",
        "a" * 100,
    ]


def test_pictures_stay_in_their_folder(write, tmp_path: Path) -> None:
    path = write(tmp_path / "run", [0, 1])
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["env"]["name"] = str(tmp_path / "elsewhere")
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (picture,) = write_pngs(read_runs([path]), tmp_path / "pictures")
    assert picture.parent == tmp_path / "pictures"
    assert not (tmp_path / "elsewhere.png").exists()
