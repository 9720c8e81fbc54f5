"""The page in a real headless Chromium: it draws, answers, and says nothing on the console."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from deepcrl.core.components import AGENTS, ENERGIES
from deepcrl.report.pictures import attachments
from deepcrl.report.read import read_runs
from deepcrl.report.write import write_page

# Runs in the page after it has drawn itself; what it finds is left in an attribute of <body>.
DRIVE = """<script>
const seen = {};
const count = (selector) => document.querySelectorAll(selector).length;
seen.curves = count("path.curve"); seen.rows = count("tr[data-group]"); seen.runs = count("path.run");
seen.figures = count("figure svg.maze image") + " " + count("figure circle");
const cards = [...document.querySelectorAll("section.card")];
seen.cost = cards.find((c) => c.textContent.startsWith("Cost of a score")).querySelector("tbody tr").textContent;
const chart = document.querySelector("section.card svg").getBoundingClientRect();
const at = { clientX: chart.left + chart.width / 2, clientY: chart.top + chart.height / 2, bubbles: true };
document.elementFromPoint(at.clientX, at.clientY).dispatchEvent(new PointerEvent("pointermove", at));
seen.tip = document.getElementById("tip").hidden ? "" : document.getElementById("tip").textContent;
const filter = document.getElementById("filter");
filter.value = "depth=16"; filter.dispatchEvent(new Event("input"));
seen.filtered = [...document.querySelectorAll("tr[data-group]")].map((row) => row.dataset.group).join(";");
filter.value = "nothing like it"; filter.dispatchEvent(new Event("input"));
seen.none = document.querySelector("p.empty").textContent;
filter.value = ""; filter.dispatchEvent(new Event("input"));
const metric = document.getElementById("metric");
metric.value = "critic/loss"; metric.dispatchEvent(new Event("change"));
seen.heading = document.querySelector("section.card h3").textContent;
for (const [key, value] of Object.entries(seen)) document.body.dataset[key] = value;
</script>"""


DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAP///ywAAAAAAQABAAACAkQBADs="
MAPS = {
    "value_map": {"image": DOT, "size": [3, 4], "start": [0.2, 0.5], "goal": [0.8, 0.5], "low": -9.0, "high": -1.0},
    "trace": {
        **{"points": [[0.0, 1.0, 2.0], [1.0, 0.5, 0.0], [2.0, 0.0, 0.0]], "goal": [2.0, 0.1, 0.0], "at_goal": 1},
        **{"shares": [0.9, 0.08, 0.02], "steps": [0, 5, 10], "distances": [8.0, 4.0, 0.1]},
    },
}


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        assert not os.environ.get("CI"), "CI has to install Chromium"
        pytest.skip("needs Chromium: apt-get install chromium")
    return path


@pytest.fixture
def report(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for depth in (4, 8, 16):
        for seed in range(3):
            write(tmp_path / f"{depth}_{seed}", [0, 10 * depth, 20 * depth + seed], depth=depth, seed=seed)
        (tmp_path / f"{depth}_0" / "checkpoints" / "step_0_0").mkdir()
    monkeypatch.setattr(attachments, "find", lambda _: SimpleNamespace(config={}))
    monkeypatch.setattr(attachments, "sizes", lambda _: None)
    monkeypatch.setattr(attachments, "maps", lambda checkpoint: MAPS)
    write_page(read_runs([tmp_path]), tmp_path / "report.html", "Depth")
    return tmp_path / "report.html"


def browse(chromium: str, page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    fixed = ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}")
    logging = ("--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000")
    command = [chromium, *fixed, *logging, "--window-size=1280,1600", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_it_draws_and_answers_without_a_word_on_the_console(chromium: str, report: Path) -> None:
    report.write_text(report.read_text().replace("</body>", DRIVE + "</body>"))
    done = browse(chromium, report, "--dump-dom")
    assert "CONSOLE" not in done.stderr, done.stderr
    body = re.search(r"<body ([^>]*)>", done.stdout)
    assert body, done.stdout[:500]
    seen = dict(re.findall(r'data-(\w+)="([^"]*)"', body[1]))
    assert int(seen["curves"]) >= 3
    assert (seen["rows"], seen["runs"]) == ("3", "12")  # nine runs, three traces
    assert seen["figures"] == "3 12"  # three maps; in each trace three points, beside each map's start
    assert re.fullmatch(r"depth=4[\d.]+ [MG]iB[\d.]+ GFLOP[\d.]+ [GTP]FLOP.*", seen["cost"]), seen["cost"]
    assert "depth=16" in seen["tip"]
    assert seen["filtered"] == "depth=16"
    assert "nothing like it" in seen["none"]
    assert seen["heading"] == "Critic loss"


GRID = """<script>
const grid = [...document.querySelectorAll("section.card")].find((card) => card.querySelector("td.heat"));
const cells = (selector) => [...grid.querySelectorAll(selector)].map((cell) => cell.textContent).join(",");
document.body.dataset.grid = `${cells("h3")}|${cells("th")}|${cells("td")}`;
</script>"""


def test_two_settings_make_a_grid_with_the_longer_list_down_the_page(chromium: str, tmp_path: Path, write) -> None:
    score = 0
    for energy in ("dot", "norm"):
        for loss in ("dcl", "fb", "infonce"):
            score += 10
            write(tmp_path / f"{energy}_{loss}", [0, score], loss=loss, energy=ENERGIES.defaults(energy))
    page = tmp_path / "report.html"
    write_page(read_runs([tmp_path]), page, "Grid")
    page.write_text(page.read_text().replace("</body>", GRID + "</body>"))
    grid = re.search(r'data-grid="([^"]*)"', browse(chromium, page, "--dump-dom").stdout)
    assert grid
    title, head, cells = grid[1].split("|")
    assert title == "Time at goal by loss and energy"
    assert head == "loss ↓  energy →,dot,norm"
    assert cells == "dcl,10,40,fb,20,50,infonce,30,60"


WIDTHS = """<script>
document.body.dataset.widths = `${document.documentElement.scrollWidth} ${document.documentElement.clientWidth}`;
</script>"""


def test_a_phone_scrolls_tables_but_never_the_page(chromium: str, report: Path, write) -> None:
    for depth in (4, 8, 16):
        write(report.parent / f"big_{depth}", [0, 5, 9], depth=depth, env="point_big_maze")
    write_page(read_runs([report.parent]), report, "Depth")
    assert "All tasks together" in report.read_text()
    report.write_text(report.read_text().replace("</body>", WIDTHS + "</body>"))
    done = browse(chromium, report, "--window-size=500,900", "--dump-dom")
    widths = re.search(r'data-widths="(\d+) (\d+)"', done.stdout)
    assert widths, done.stdout[:500]
    assert int(widths[1]) <= int(widths[2]) <= 500


@pytest.mark.parametrize("flags", [(), ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")])
def test_the_picture_shows_every_curve_in_its_colour(chromium: str, report: Path, flags: tuple[str, ...]) -> None:
    shot = report.with_suffix(".png")
    browse(chromium, report, *flags, f"--screenshot={shot}")
    picture = np.asarray(Image.open(shot).convert("RGB")).reshape(-1, 3)
    assert len(picture) == 1280 * 1600
    colors, counts = np.unique(picture, axis=0, return_counts=True)
    ground = colors[counts.argmax()]
    assert (ground.sum() < 200) == bool(flags), ground
    saturation = np.ptp(colors.astype(int), axis=1)
    assert ((counts > 60) & (saturation > 60)).sum() >= 3


PUBLISHED = """<script>
const text = (nodes) => [...nodes].map((node) => node.textContent).join("|");
const lines = () => [...document.querySelectorAll("section.card svg")].map((chart) =>
  [...chart.querySelectorAll("g[data-label^=published]")].length).join(",");
const seen = { before: lines(), buttons: text(document.querySelectorAll(".legend button")) };
seen.legends = text(document.querySelectorAll(".legend"));
seen.titles = text(document.querySelectorAll("section.card h3"));
seen.notes = text(document.querySelectorAll("p.sub"));
document.querySelectorAll(".legend button")[2].click();
seen.after = lines();
for (const [key, value] of Object.entries(seen)) document.body.dataset[key] = value;
</script>"""


def published_on(chromium: str, runs: Path) -> dict[str, str]:
    page = runs / "report.html"
    write_page(read_runs([runs]), page, "Published")
    page.write_text(page.read_text().replace("</body>", PUBLISHED + "</body>"))
    done = browse(chromium, page, "--dump-dom")
    assert "CONSOLE" not in done.stderr, done.stderr
    body = re.search(r"<body ([^>]*)>", done.stdout)
    assert body, done.stdout[:500]
    return dict(re.findall(r'data-(\w+)="([^"]*)"', body[1]))


def test_published_means_are_dashed_and_can_be_hidden_and_methods_have_charts(chromium, tmp_path: Path, write) -> None:
    more = {"critic/time_loss": 0.5, "critic/occupancy": 0.1}
    for depth in (4, 8):
        write(
            tmp_path / f"{depth}",
            [0, 40, 60],
            depth=depth,
            env="ant_u4_maze",
            agent=AGENTS.defaults("chronosrl"),
            more=more,
        )
    seen = published_on(chromium, tmp_path)
    assert seen["buttons"] == "depth=4|depth=8|ChronoSRL, depth 4: 861|ChronoSRL, depth 8: 837"
    assert "Published in another simulator (Brax), 100M env steps:ChronoSRL" in seen["legends"]
    assert seen["before"].split(",")[0] == "2"
    assert seen["after"].split(",")[0] == "1"
    assert "Beside the study of ChronoSRL" in seen["titles"]
    assert "Time: loss of the distance|Occupancy: time near the goal" in seen["titles"]
    assert "Dashed: final means published in another simulator (Brax), after 100M env steps. Bohlinger" in seen["notes"]


def test_another_method_has_neither(chromium: str, tmp_path: Path, write) -> None:
    for depth in (4, 8, 16):
        write(tmp_path / f"{depth}", [0, 40], depth=depth, env="ant_u4_maze", agent=AGENTS.defaults("sac"))
    seen = published_on(chromium, tmp_path)
    assert seen["buttons"] == "depth=4|depth=8|depth=16"
    assert not set(seen["before"]) - set("0,")
    assert "Beside" not in seen["titles"]
    assert "loss of the distance" not in seen["titles"]
    assert "published" not in seen["notes"]
