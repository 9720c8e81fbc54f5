"""`deepcrl report PATHS...`: compares runs on one self-contained HTML page."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from deepcrl.cli.hydra.errors import ArgumentParser, given_path, user_errors
from deepcrl.core.files import user_path


def main(arguments: list[str]) -> None:
    """Reads every run in PATHS and writes the page."""
    parser = ArgumentParser("deepcrl report", description=__doc__)
    parser.add_argument(
        "paths", nargs="+", type=given_path, metavar="PATH", help="a run directory, a sweep, or a folder of those"
    )
    parser.add_argument("-o", "--output", default="report.html", help="default: report.html")
    parser.add_argument("--title", default="Runs", help="the page's heading")
    parser.add_argument("--score", metavar="METRIC", help="what to compare runs by (default: eval/time_at_goal)")
    parser.add_argument("--csv", help="also write a table of final scores to this file")
    parser.add_argument("--png", help="also draw each task's learning curves and final scores into this folder")
    parser.add_argument("--no-maps", action="store_true", help="open no checkpoint: no value maps, no embeddings")
    options = parser.parse_args(arguments)
    from deepcrl.core.checks import printable
    from deepcrl.core.components import discover
    from deepcrl.report.read import SCORE, read_runs
    from deepcrl.report.write import write_csv, write_page, write_pngs

    with user_errors():
        output, table, pictures = _outputs(options)
        discover()
        found = read_runs(options.paths, options.score or SCORE)
        write_page(found, output, options.title, with_maps=not options.no_maps)
        written = [output]
        if table:
            write_csv(found, table)
            written.append(table)
        if pictures:
            written += write_pngs(found, pictures)
    for note in found.notes:
        print(f"note: {printable(note)}")
    plural = "run" if len(found.runs) == 1 else "runs"
    print(f"{len(found.runs)} {plural}:", ", ".join(map(str, written)))


def _outputs(options: Namespace) -> tuple[Path, Path | None, Path | None]:
    """Returns the page's path, the table's and the pictures' folder; ValueError if one cannot be written there.

    Before anything is read or written: a report that fails leaves none of its files.
    """
    page = _place("--output", options.output)
    table = None if options.csv is None else _place("--csv", options.csv)
    pictures = None if options.png is None else _place("--png", options.png, is_folder=True)
    if table and table.resolve() == page.resolve():
        raise ValueError(f"--csv {table} is the page itself; choose another file")
    return page, table, pictures


def _place(flag: str, text: str, *, is_folder: bool = False) -> Path:
    kind = "folder" if is_folder else "file"
    if not text.strip():
        raise ValueError(f"{flag} names no {kind}: {text!r}")
    path = user_path(text)
    if path.exists() and path.is_dir() != is_folder:
        raise ValueError(f"{flag} {path} is a {'file' if is_folder else 'folder'}; name a {kind}")
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not there.is_dir() and there != path:
        raise ValueError(f"{flag} {path} cannot be written: {there} is a file")
    if not os.access(there, os.W_OK):
        raise ValueError(f"{flag} {path} cannot be written: no permission to write to {there}")
    return path
