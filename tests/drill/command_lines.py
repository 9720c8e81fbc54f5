"""Command lines with mistakes, generated from a seed: each is answered in a line that names it, and leaves nothing.

python -m tests.drill.command_lines --seed 0 --num 400
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import shlex
import shutil
import tempfile
import time
from pathlib import Path
from random import Random

from tests.drill import command_places, forks
from tests.drill.command_mistakes import KINDS, QUICK, Line, train

assert command_places  # whose kinds are now among the others
MAX_SECONDS = 8.0
"""For an answer; a run of a tiny sweep may take them, too."""
MAX_MEBIBYTES = 400
NUM_WORKERS = 2
"""At a time."""
RIGHT_SHARE = 0.08
"""Of the lines: they train, and take longest."""
NAMES = [
    *("lr=0.1", "run (old)", "x[8]", "a,b", "a b", "it's", 'say "x"', "{a}", "größe-ü", "50%", "a#b", "~x", "$HOME"),
    *("null", "3", "true", "a:b", "@a", "a|b", "a;b", "a&b", "back\\slash", "‮right to left", "new\nline", "é" * 60),
]


def lines(seed: int, num: int) -> list[Line]:
    """Returns `num` command lines: mistakes of every kind, some beside a repeated setting, and right ones between."""
    rng = Random(seed)
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    made = []
    for i in range(num):
        if rng.random() < RIGHT_SHARE:
            made.append(right(rng))
            continue
        name = names[i % len(names)] if i < len(names) else rng.choices(names, weights)[0]
        words, says = KINDS[name][1](rng)
        line = Line(name, tuple(words), says)
        made.append(repeated(rng, line) if rng.random() < 0.05 else line)
    return made


def repeated(rng: Random, line: Line) -> Line:
    """Gives a setting of the line twice, of which one line more is said."""
    settings = [i for i, word in enumerate(line.words) if "=" in word and not word.startswith("-")]
    if line.words[0] != "train" or not settings:
        return line
    i = rng.choice(settings)
    words = (*line.words[:i], line.words[i], *line.words[i:])
    return Line(line.kind, words, line.says)


def right(rng: Random) -> Line:
    """Returns a line that is right, with a path that looks as if it was not."""
    name = rng.choice(NAMES)
    path = rng.choice([name, f"sub/{name}", f"~/{name}"])
    typed = path if not path.startswith("~x") else f"./{path}"
    there, here = path.replace("~/", "home/"), f"./{name}" if name.startswith("~") else name
    ways = [
        (train(rng, f"run_dir={typed}", sweep=False), f"{there}/metrics.jsonl"),
        (["export", "run", f"{here}.npz"], f"{name}.npz"),
        (["export", "run", f"out={here}.npz"], f"{name}.npz"),
        (["report", "run", "-o", f"{typed}.html", "--no-maps"], f"{there}.html"),
        (["report", "run", "--csv", f"{typed}.csv", "--no-maps", "-o", "page.html"], f"{there}.csv"),
        (["play", "run", f"out={typed}.png", "--size", "32", "--tiles", "1"], f"{there}.png"),
        (["train", "-m", *QUICK, f"hydra.sweep.dir={typed}", "seed=3"], f"{there}/run/metrics.jsonl"),
        (["train", "--cfg", "job", *QUICK, f"run_dir={typed}"], ""),
        (["list", "losses"], ""),
        (["bench", "--help"], ""),
    ]
    words, makes = rng.choice(ways)
    return Line("right", tuple(words), "", makes=(makes,) if makes else ())


def world(folder: Path) -> Path:
    """Makes the folder that lines are typed in: a run, its dataset, a file and a folder; `home` is the user's."""
    for name in ("folder", "home"):
        (folder / name).mkdir(parents=True)
    (folder / "file").write_text("mine")
    for words in (["train", *QUICK, "run_dir=run"], ["export", "run", "data.npz"]):
        answer = forks.run(words, folder, timeout=120)
        assert answer.status == 0, answer
    return folder


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    """What is in a folder: the size of each file and when it was written."""
    stats = {str(path.relative_to(folder)): path.lstat() for path in sorted(folder.rglob("*"))}
    return {
        name: (stat.st_size, stat.st_mtime_ns) if (folder / name).is_file() else (0, 0) for name, stat in stats.items()
    }


NOTE = r"^deepcrl: (\S+ is (eval_)?env=.* here, see docs|\S+ is given 2 times; .* counts$)"
"""A line that is no error."""


def complaint(line: Line, answer: forks.Answer, before: dict, after: dict) -> str:
    """Returns what is wrong with an answer, "" if nothing is."""
    if answer.status is None:
        return "hangs"
    if "Traceback" in answer.err:
        return "a traceback"
    if not line.says:
        missing = [name for name in line.makes if name not in after]
        return (
            f"status {answer.status}" if answer.status or answer.err else f"did not make {missing}" if missing else ""
        )
    said = [text for text in answer.err.splitlines() if not re.search(NOTE, text)]
    if answer.status != 2:
        return f"status {answer.status}"
    if len(said) != 1 or not said[0].startswith("deepcrl: "):
        return f"{len(said)} lines"
    if not re.match(rf"({line.says})", said[-1].removeprefix("deepcrl: ")):
        return f"expected {line.says}"
    if any(len(text) > MAX_CHARACTERS for text in said):
        return f"a line of {max(map(len, said)):,} characters"
    if before != after:
        return f"left {[name for name in {*before, *after} if before.get(name) != after.get(name)]}"
    if answer.seconds > MAX_SECONDS:
        return f"{answer.seconds:.1f} seconds"
    return f"{answer.mebibytes} MiB" if answer.mebibytes > MAX_MEBIBYTES else ""


MAX_CHARACTERS = 4000
"""Of a line: the names of all environments are 2,500."""


def drill(seed: int, num: int) -> list[str]:
    """Tries the lines, and returns what did not hold, a text for each."""
    with tempfile.TemporaryDirectory() as name:
        kept = world(Path(name) / "kept")
        jobs = [(seed, num, i, kept, Path(name) / f"at_work_{i}") for i in range(NUM_WORKERS)]
        with multiprocessing.get_context("fork").Pool(NUM_WORKERS) as pool:
            return [text for texts in pool.starmap(part, jobs) for text in texts]


def part(seed: int, num: int, start: int, kept: Path, here: Path) -> list[str]:
    """Tries every `NUM_WORKERS`-th line from `start`, in the folder `here`, a copy of `kept`."""
    failed, before = [], {}
    for i, line in list(enumerate(lines(seed, num)))[start::NUM_WORKERS]:
        if not here.exists():
            shutil.copytree(kept, here)
            before = seen(here)
        answer = forks.run(line.words, here, {"HOME": str(here / "home")})
        after = seen(here)
        if what := complaint(line, answer, before, after):
            failed.append(f"{line.kind} {i}: {what}\n  deepcrl {shlex.join(line.words)}\n{answer.err[-3000:]}")
            print(failed[-1], flush=True)
        if before != after:
            shutil.rmtree(here)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num", type=int, default=400)
    arguments = parser.parse_args()
    forks.prepare()
    began = time.perf_counter()
    failed, seconds = drill(arguments.seed, arguments.num), time.perf_counter() - began
    held = arguments.num - len(failed)
    print(f"{held} of {arguments.num} command lines were answered as they should be, in {seconds:.0f} s")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
