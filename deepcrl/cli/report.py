"""`deepcrl report PATHS...`: compares runs on one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from deepcrl.cli.hydra.errors import ArgumentParser, user_errors


def main(arguments: list[str]) -> None:
    """Reads every run in PATHS and writes the page."""
    parser = ArgumentParser("deepcrl report", description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a run directory, a sweep, or a folder of those")
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="default: report.html")
    parser.add_argument("--title", default="Runs", help="the page's heading")
    parser.add_argument("--csv", type=Path, help="also write a table of final scores to this file")
    parser.add_argument(
        "--png", type=Path, help="also draw each task's learning curves and final scores into this folder"
    )
    parser.add_argument("--no-maps", action="store_true", help="open no checkpoint: no value maps, no embeddings")
    options = parser.parse_args(arguments)
    from deepcrl.core.components import discover
    from deepcrl.report.read import read_runs
    from deepcrl.report.write import write_csv, write_page, write_pngs

    with user_errors():
        discover()
        found = read_runs(options.paths)
        write_page(found, options.output, options.title, with_maps=not options.no_maps)
        written = [options.output]
        if options.csv:
            write_csv(found, options.csv)
            written.append(options.csv)
        if options.png:
            written += write_pngs(found, options.png)
    for note in found.notes:
        print(f"note: {note}")
    plural = "run" if len(found.runs) == 1 else "runs"
    print(f"{len(found.runs)} {plural}:", ", ".join(map(str, written)))
