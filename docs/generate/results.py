"""Packs the runs of one claim into results/: `python -m docs.generate.results RUNS [--out results/NAME]`.

RUNS is a folder of run directories, at any depth. Written are runs.tar.xz (config, environment and metrics of every
run), config.yaml and environment.json of the run that --main names (or the first), and scores.csv as `deepcrl report
--csv` writes it, of the metric that --score names (or of the usual one).
"""

from __future__ import annotations

import argparse
import io
import lzma
import shutil
import tarfile
from pathlib import Path

from deepcrl.core.components import discover
from deepcrl.core.files import write_atomic
from deepcrl.report.read import SCORE, read_runs
from deepcrl.report.write import write_csv

KEPT = ("config.yaml", "environment.json", "metrics.jsonl")


def packed(runs: Path, name: str) -> bytes:
    """Returns what KEPT names of every run in `runs`, below the folder `name`; the same runs give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for kept in KEPT for path in runs.rglob(kept)):
            member = tarfile.TarInfo(f"{name}/{path.relative_to(runs).as_posix()}")  # no time, no owner
            member.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(member, file)
    return lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def write(runs: Path, main: str | None, out: Path, score: str = SCORE) -> None:
    """Writes the folder of a claim. Raises ValueError if there are no runs, or none is called `main`."""
    discover()
    found = read_runs([runs], score)
    first = runs / main if main else found.runs[0].path
    if not (first / "config.yaml").exists():
        raise ValueError(f"There is no run {main!r} in {runs}")
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "runs.tar.xz", packed(runs, out.name))
    write_csv(found, out / "scores.csv")
    for kept in KEPT[:2]:
        if (first / kept).exists():
            shutil.copyfile(first / kept, out / kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--main")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--score", default=SCORE)
    options = parser.parse_args()
    write(options.runs, options.main, options.out or Path("results") / options.runs.name, options.score)


if __name__ == "__main__":
    main()
