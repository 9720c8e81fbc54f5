"""Damaged and hostile run folders, generated from a seed: a report shows the healthy ones beside them, and is safe.

python -m tests.drill.report_folders --seed 0 --num 160
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

from tests.drill import damaged_files, forks
from tests.drill.command_mistakes import QUICK
from tests.drill.damages import KINDS, NAMES, OUT, SECRET, SHOWN, Damage

assert damaged_files  # whose kinds are now among the others
NUM_WORKERS = 2
"""At a time."""
AT_ONCE = 4
"""Damaged folders in a report: if it does not hold, each is tried by itself."""
MAX_SECONDS = 20.0
MAX_MEBIBYTES = 1500
NUM_HEALTHY = 2


def damages(seed: int, num: int) -> list[Damage]:
    """Returns `num` damages, of every kind at first."""
    rng = Random(seed)
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    kinds = [*names[:num], *rng.choices(names, weights, k=max(num - len(names), 0))]
    return [Damage(name, rng.randrange(2**32)) for name in kinds]


class Structure(HTMLParser):
    """The tags of a page, and the text of its script elements by their id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Any]] = []
        self.scripts: dict[str, str] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", None))

    def handle_data(self, data: str) -> None:
        tag, attrs = self.tags[-1] if self.tags else ("", None)
        if tag == "script":
            name = dict(attrs or ()).get("id") or ""
            self.scripts[name] = self.scripts.get(name, "") + data


def content_of(page: str) -> dict[str, Any]:
    """Returns the data of a page; ValueError for what JSON does not know, such as NaN."""

    def refuse(text: str) -> None:
        raise ValueError(f"{text} in the page's JSON")

    return json.loads(Structure(page).scripts["content"], parse_constant=refuse)


def healthy(folder: Path) -> Path:
    """Trains a run and copies it, with other seeds, to `healthy_0` and so on; returns the folder."""
    answer = forks.run(["train", *QUICK, "run_dir=healthy_0"], folder, timeout=120)
    assert answer.status == 0, answer
    first = folder / "healthy_0"
    (first / "videos" / "film.gif").write_bytes(b"GIF89a")
    for i in range(1, NUM_HEALTHY):
        shutil.copytree(first, folder / f"healthy_{i}")
        config = folder / f"healthy_{i}" / "config.yaml"
        config.write_text(config.read_text().replace("seed: 0\n", f"seed: {i}\n"))
    return folder


def case(kept: Path, here: Path, tried: Sequence[Damage]) -> tuple[list[tuple[Damage, Path, str]], forks.Answer, str]:
    """Lays out healthy and damaged runs in `here`, and reports on them; returns what became of it and a complaint."""
    here.mkdir()
    outside, runs = here / "outside", here / "runs"
    shutil.copytree(kept / "healthy_0", outside)
    for name in ("secret", "config.yaml", "metrics.jsonl", "environment.json", "play.gif"):
        (outside / name).write_text(f"{SECRET}\n")
    shutil.copytree(kept, runs)
    done = []
    for i, damage in enumerate(tried):
        names = [name for name in NAMES if "/" not in name]
        name = Random(damage.seed).choice([*names, *["plain"] * len(names)])
        run = runs / f"{i}{name}"
        shutil.copytree(runs / "healthy_0", run)
        done.append((damage, run, damage.do(run, outside)))
    before = seen(here)
    words = ["report", "runs", "-o", "out/page.html", "--csv", "out/table.csv", "--png", "out/png"]
    answer = forks.run(words, here, timeout=MAX_SECONDS)
    changed = {name for name, stat in seen(here).items() if before.get(name) != stat}
    strays = [name for name in changed if name != "out" and not name.startswith("out/")]
    return done, answer, f"left {strays}" if strays else complaint(here / "out", done, answer)


def seen(folder: Path) -> dict[str, tuple[int, ...]]:
    found = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            stat = os.lstat(os.path.join(path, name))
            is_folder = name in folders
            found[os.path.relpath(os.path.join(path, name), folder)] = (
                stat.st_size,
                0 if is_folder else stat.st_mtime_ns,
            )
    return found


def complaint(out: Path, done: list[tuple[Damage, Path, str]], answer: forks.Answer) -> str:
    """Returns what is wrong with a report, "" if nothing is."""
    if answer.status is None:
        return "hangs"
    if answer.status or answer.err:
        return f"status {answer.status}, {len(answer.err.splitlines())} lines on stderr"
    if answer.mebibytes > MAX_MEBIBYTES:
        return f"{answer.mebibytes} MiB"
    page = (out / "page.html").read_bytes()
    return (
        wrong_page(page)
        or secrets(out, answer)
        or next((text for _, run, outcome in done if (text := wrong_outcome(run, outcome, answer.out, page))), "")
        or wrong_lines(answer.out)
    )


def wrong_page(page: bytes) -> str:
    text = page.decode()  # raises, if it is none
    content = content_of(text)
    names = {run["name"] for task in content["tasks"] for group in task["groups"] for run in group["runs"]}
    lost = {f"runs/healthy_{i}" for i in range(NUM_HEALTHY)} - names
    if lost:
        return f"does not show {lost}"
    tags = Structure(text).tags
    if [tag for tag, _ in tags] != EXPECTED_TAGS:
        return "other elements than the page has"
    films = [group["film"] for task in content["tasks"] for group in task["groups"] if group["film"]]
    links = [film["link"] for film in films if "link" in film]
    return f"links {links}" if any(":" in link or link.startswith("/") for link in links) else ""


EXPECTED_TAGS: list[str] = []
"""The page's elements when all runs are healthy, one after the other: data adds none."""


def secrets(out: Path, answer: forks.Answer) -> str:
    written = [answer.out.encode(), *(path.read_bytes() for path in out.rglob("*") if path.is_file())]
    encoded = base64.b64encode(SECRET.encode())[:-4]
    return "shows the secret" if any(SECRET.encode() in data or encoded in data for data in written) else ""


def wrong_outcome(run: Path, outcome: str, said: str, page: bytes) -> str:
    """Whether a damaged run is neither named nor shown, or not as it must be."""
    number = run.name[0]
    named = [line for line in said.splitlines() if line.startswith(f"note: runs/{number}") and "left out" in line]
    content = content_of(page.decode())
    names = [one["name"] for task in content["tasks"] for group in task["groups"] for one in group["runs"]]
    shown = any(name.startswith(f"runs/{number}") for name in names)
    if run.is_symlink():
        return ""
    if len(named) > 1 or (not named and not shown) or (outcome == OUT and shown) or (outcome == SHOWN and not shown):
        return f"{run.name!r} must be {outcome}: named in {len(named)} lines, shown: {shown}"
    return ""


def wrong_lines(said: str) -> str:
    """Every line is a note or the last one, and of characters that a terminal prints."""
    lines = said.splitlines()
    if not all(line.startswith("note: ") for line in lines[:-1]):
        return "a line that is no note"
    if any(not character.isprintable() for line in lines for character in line):
        return "characters that no terminal should get"
    return next((f"a line of {len(line)} characters" for line in lines if len(line) > 2000), "")


def drill(seed: int, num: int) -> list[str]:
    """Tries the damages, and returns what did not hold, a text for each."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "kept").mkdir()
        kept = healthy(Path(name) / "kept")
        _, answer, _ = case(kept, Path(name) / "first", [])
        assert answer.status == 0, answer
        page = (Path(name) / "first" / "out" / "page.html").read_text()
        EXPECTED_TAGS[:] = [tag for tag, _ in Structure(page).tags]
        tried = damages(seed, num)
        jobs = [(kept, Path(name) / str(i), tried[i : i + AT_ONCE]) for i in range(0, num, AT_ONCE)]
        with multiprocessing.get_context("fork").Pool(NUM_WORKERS) as pool:
            return [text for texts in pool.starmap(part, jobs) for text in texts]


def part(kept: Path, here: Path, tried: list[Damage]) -> list[str]:
    """Tries some damages in one report, and if that does not hold, one by one."""
    failed = []
    _, _, together = attempt(kept, here, tried)
    if together:
        for damage in tried:
            done, answer, what = attempt(kept, here, [damage])
            if what:
                names = [run.name for _, run, _ in done]
                failed.append(f"{damage}: {what}\n{names}\n{answer.out[-1500:]}{answer.err[-3000:]}")
        failed = failed or [f"{tried}: only together: {together}"]
    for text in failed:
        print(text.encode(errors="backslashreplace").decode(), flush=True)
    return failed


def attempt(kept: Path, here: Path, tried: list[Damage]) -> tuple[list[tuple[Damage, Path, str]], forks.Answer, str]:
    try:
        return case(kept, here, tried)
    except ValueError as error:  # of a page that is none
        return [], forks.Answer(0, "", "", 0, 0), f"{type(error).__name__}: {error}"[:300]
    finally:
        shutil.rmtree(os.fsencode(here))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num", type=int, default=160)
    arguments = parser.parse_args()
    forks.prepare()
    began = time.perf_counter()
    failed, seconds = drill(arguments.seed, arguments.num), time.perf_counter() - began
    held = arguments.num - len(failed)
    print(f"{held} of {arguments.num} run folders left the others' report as it should be, in {seconds:.0f} s")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
