"""Writes a report: the page, and on request a table of final scores and the learning curves as pictures."""

from __future__ import annotations

import csv
import io
import itertools
import re
from pathlib import Path

from deepcrl.core.files import write_atomic
from deepcrl.report.content import content, finals
from deepcrl.report.groups import by_task
from deepcrl.report.page import page
from deepcrl.report.pictures.png import draw_curves, draw_scores
from deepcrl.report.read import Found

MAX_NAME = 100


def write_page(found: Found, path: Path, title: str, *, with_maps: bool = True) -> None:
    """Writes the page as one HTML file; `with_maps` says whether to draw what the checkpoints show."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, _utf8(page(content(found, title, path.parent, with_maps=with_maps))))


def write_csv(found: Found, path: Path) -> None:
    """Writes a row per configuration: its task, what tells it apart, and IQM and interval of each final metric."""
    text = io.StringIO()
    table = csv.writer(text)
    tasks = by_task(found.runs)
    metrics = finals(tasks[0].score)
    table.writerow(["task", "configuration", "runs", *(f"{m}{end}" for m in metrics for end in ("", "_low", "_high"))])
    for task in tasks:
        for group in task.groups:
            estimates = [group.final(metric) for metric in metrics]
            numbers = [x for e in estimates for x in (("", "", "") if e is None else (e.value, e.low, e.high))]
            table.writerow([task.name, group.label, len(group.runs), *numbers])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, _utf8(text.getvalue()))


def _utf8(text: str) -> bytes:
    """Names of files need not be UTF-8; what is not is spelled as JSON and Python do, `\\udcff`."""
    return text.encode(errors="backslashreplace")


def write_pngs(found: Found, directory: Path) -> list[Path]:
    """Draws each task's learning curves into `directory`, and its final scores if there is something to compare."""
    directory.mkdir(parents=True, exist_ok=True)
    tasks = by_task(found.runs)
    written = []
    for task, name in zip(tasks, file_names([task.name for task in tasks]), strict=True):
        written.append(draw_curves(task, directory / f"{name}.png"))
        if len(task.groups) > 1:
            written.append(draw_scores(task, directory / f"{name}_scores.png"))
    return written


def file_names(names: list[str]) -> list[str]:
    """Returns a file name for each, no two alike: letters, digits, `_`, `.`, `-`, whatever a config calls its env."""
    found: list[str] = []
    for name in names:
        slug = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._")[:MAX_NAME] or "env"
        more = (f"{slug}_{number}" for number in itertools.count(2))
        found.append(next(one for one in itertools.chain([slug], more) if one not in found))
    return found
