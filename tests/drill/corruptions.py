"""Damaged runs: what cannot be used is refused in one line, what is lost is told, and what is neither is bit-equal.

python -m tests.drill.corruptions --seed 0 --num 150
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deepcrl.run.checkpoint import find, list_checkpoints
from deepcrl.run.metrics import read_rows
from tests.conftest import assert_same
from tests.drill import crafted
from tests.drill.cases import CRL, STEPS, TINY, Straight, Worker, drill, leftovers, one_line, shown

SETTINGS = ((*TINY, STEPS, CRL, "seed=3"), (*TINY, STEPS, CRL, "buffer=disk_ring", "seed=3"))
LONGER = "total_env_steps=320"
Damage = Callable[[random.Random, Path], None]


def flip(rng: random.Random, path: Path) -> None:
    """Turns a bit over."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(rng: random.Random, path: Path) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(1, path.stat().st_size)])


def empty(rng: random.Random, path: Path) -> None:
    path.write_bytes(b"")


def missing(rng: random.Random, path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def garbage(rng: random.Random, path: Path) -> None:
    path.write_bytes(
        rng.choice((rng.randbytes(300), b"[" * 10**5, b"null\n", b"[1, 2]\n", b'{"a": "\\ud800"}\n', b"3"))
    )


def dangling(rng: random.Random, path: Path) -> None:
    """Puts a symbolic link in its place that leads nowhere, or round in a circle."""
    missing(rng, path)
    path.symlink_to(rng.choice((path.name, "nowhere")))


def linked(rng: random.Random, path: Path) -> None:
    """Moves it elsewhere, and leaves a symbolic link."""
    path.rename(elsewhere := path.parent / f"moved_{path.name}")
    path.symlink_to(elsewhere.name)


def replaced(rng: random.Random, path: Path) -> None:
    """Puts a folder where a file was, or a file where a folder was."""
    is_folder = path.is_dir()
    missing(rng, path)
    path.write_text("a file") if is_folder else path.mkdir()


def lines_missing(rng: random.Random, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def line_torn(rng: random.Random, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    i = rng.randrange(len(lines))
    lines[i] = lines[i][: rng.randrange(len(lines[i]))] + rng.choice((b"", b"\n"))
    path.write_bytes(b"".join(lines))


def line_twice(rng: random.Random, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rng.choices(lines, k=1) + lines))


def line_of_garbage(rng: random.Random, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines)), rng.choice((b"\xff\n", b"{}\n", b"1e999\n", b'{"env_steps": 1}\n', b"\n")))
    path.write_bytes(b"".join(lines))


def of_another_run(rng: random.Random, path: Path) -> None:
    """Puts in place what another run, of another seed, has under that name."""
    other = path.parents[2 if path.parent.name in ("checkpoints", "ring") else 1] / "other"
    run = next(parent for parent in path.parents if parent.name == "run")
    source = other / path.relative_to(run)
    missing(rng, path)
    shutil.copytree(source, path) if source.is_dir() else shutil.copyfile(source, path)


PLAIN: tuple[Damage, ...] = (flip, flip, truncate, empty, missing, garbage, dangling, linked, replaced)
LINES: tuple[Damage, ...] = (lines_missing, line_torn, line_twice, line_of_garbage)
FOLDER: tuple[Damage, ...] = (missing, dangling, linked, replaced, of_another_run)
NEWEST = "checkpoints/step_0000000000240_00000000032"
COLUMNS = ("state", "action", "traj_id", "checksum")
TARGETS: tuple[tuple[str, tuple[Damage, ...], int], ...] = (
    (f"{NEWEST}/state.pt", (*PLAIN, crafted.craft, crafted.craft, crafted.craft, crafted.craft, crafted.craft), 4),
    (f"{NEWEST}/meta.json", PLAIN, 2),
    (NEWEST, FOLDER, 2),
    ("metrics.jsonl", (*PLAIN, *LINES, *LINES, of_another_run), 4),
    ("config.yaml", (*PLAIN, of_another_run), 2),
    ("environment.json", (*PLAIN, of_another_run), 2),
    ("ring/COLUMN.bin", (*PLAIN, flip, truncate, of_another_run), 3),
    ("ring", FOLDER, 1),
)
"""What is damaged, how, and how often beside the others."""


@dataclass(frozen=True)
class Corruption:
    """A damage to a file of a run, on a ring in memory or on disk, and the verb that then comes upon it."""

    settings: tuple[str, ...]
    target: str
    damage: Damage
    verb: str
    seed: int

    def __str__(self) -> str:
        buffer = "disk_ring" if "buffer=disk_ring" in self.settings else "ring"
        return f"{self.verb} after {self.damage.__name__} of {self.target}, {buffer}, seed {self.seed}"


def corruptions(seed: int, num: int) -> list[Corruption]:
    """Returns `num` cases: every kind of damage to every file in turn, most of them before the run is resumed."""
    rng, made = random.Random(seed), []
    turns = [(target, damage) for target, damages, times in TARGETS for damage in damages * (1 + (times > 2))]
    rng.shuffle(turns)
    for i in range(num):
        target, damage = turns[i % len(turns)]
        on_disk = target.startswith("ring") or rng.random() < 0.4
        column = rng.choice(COLUMNS)
        verb = rng.choice(("resume", "resume", "resume", "eval", "export"))
        if not target.startswith(f"{NEWEST}/"):  # without the newest checkpoint, the others rightly take the one before
            verb = "resume"
        made.append(Corruption(SETTINGS[on_disk], target.replace("COLUMN", column), damage, verb, rng.randrange(10**6)))
    return made


_prepared: dict[tuple[str, ...], tuple[Path, Straight]] = {}
_lock = threading.Lock()


def prepared(worker: Worker, folder: Path, settings: tuple[str, ...]) -> tuple[Path, Straight]:
    """Returns a folder with a run of these settings and another one, and how the first goes on; made once."""
    with _lock:
        if settings not in _prepared:
            for name, changes in (("run", ()), ("other", ("seed=4",))):
                done = worker.run(folder, "train", *settings[:-1], *(changes or settings[-1:]), f"run_dir={name}")
                assert done.returncode == 0, done
            kept = folder.with_name(f"{folder.name}_base")
            shutil.copytree(folder, kept)
            done = worker.run(folder, "train", "resume=run", LONGER)
            assert done.returncode == 0, done
            longer = Straight(read_rows(folder / "run/metrics.jsonl")[0], find(folder / "run").state, 0.0)
            _prepared[settings] = kept, longer
            shutil.rmtree(folder)
            folder.mkdir()
    return _prepared[settings]


def complaint(case: Corruption, worker: Worker, folder: Path) -> str:
    """Damages a run, uses it, and returns what is wrong with the answer, "" if nothing is."""
    base, longer = prepared(worker, folder, case.settings)
    shutil.copytree(base, folder, dirs_exist_ok=True)
    run = folder / "run"
    case.damage(random.Random(case.seed), run / case.target)
    before = content(run)
    verbs = {"resume": ("train", "resume=run", LONGER), "eval": ("eval", "run"), "export": ("export", "run", "x.npz")}
    done = worker.run(folder, *verbs[case.verb])
    if "Traceback" in done.stdout + done.stderr:
        return f"a traceback: {shown(done)}"
    if done.returncode:
        return refused(case, done, before, run)
    if case.verb == "resume":
        return accepted(case, done, run, longer)
    undamaged = worker.run(base, *verbs[case.verb][:2], *(("y.npz",) if case.verb == "export" else ()))
    (base / "y.npz").unlink(missing_ok=True)
    same = undamaged.stdout.replace("y.npz", "x.npz") == done.stdout
    return "" if same else f"another answer than of the undamaged run: {shown(done)}"


def refused(case: Corruption, done: subprocess.CompletedProcess[str], before: dict[Path, object], run: Path) -> str:
    """Returns what is wrong with a refusal: it is one line that names what is damaged, and changes nothing."""
    folder = "ring" if case.target.startswith("ring") else NEWEST if case.target.startswith(NEWEST) else case.target
    if not one_line(done) or f"run/{folder}" not in done.stderr:
        return f"not refused in one line that names run/{folder}: {shown(done)}"
    after = content(run)
    changed = sorted(str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return f"refused, but changed {changed}" if changed else ""


def accepted(case: Corruption, done: subprocess.CompletedProcess[str], run: Path, longer: Straight) -> str:
    """Returns what is wrong with a run that went on: it is bit-equal, and what is lost is told and kept."""
    told = case.target.split("/")[0] in re.sub(r"(?m)^(run  |Done:|Ctrl-C).*$", "", done.stdout)
    try:
        rows, _ = read_rows(run / "metrics.jsonl")
        assert_same(find(run).state, longer.state, "state")
        assert_same(rows[-4:], longer.rows[-4:], "rows")
        if not told:
            assert_same(rows, longer.rows, "rows")
    except (AssertionError, OSError, ValueError) as error:
        return f"went on otherwise: {error}; {shown(done)}"
    if case.target == "metrics.jsonl" and rows[:-4] != longer.rows[:-4] and not list(run.glob("metrics.damaged_*")):
        equal = [time_free(row) for row in rows] == [time_free(row) for row in longer.rows]
        if not equal and case.damage not in (missing, dangling, empty, replaced):
            return f"the damaged file was not kept: {shown(done)}"
    if left := leftovers(run):
        return f"left: {left}"
    if not list_checkpoints(run / "checkpoints"):
        return "no checkpoint"
    return ""


def time_free(row: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in row.items() if not key.startswith("time/") and key != "wall_seconds"}


def content(run: Path) -> dict[Path, object]:
    """Returns what each file of a run holds, or where it leads; the lock is nobody's content."""
    found = {
        path: path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in run.rglob("*")
    }
    return {path.relative_to(run): value for path, value in found.items() if path.name != ".lock"}


def main() -> int:
    held = "corruptions: refused in one line, told, or harmless"
    try:
        return drill(__doc__, held, 150, corruptions, complaint)
    finally:
        for base, _ in _prepared.values():
            shutil.rmtree(base)


if __name__ == "__main__":
    raise SystemExit(main())
