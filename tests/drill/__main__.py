"""All drills, one after another, and a table of what held: `make drill`.

python -m tests.drill --seed 0
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence

DRILLS = ("kills", "signals", "corruptions", "disks", "command_lines", "faulty_plugins", "report_folders")
"""Modules of this folder. Each prints what failed and, as its last line, `HELD of TRIED ...`."""


def row(module: str, seed: int) -> tuple[str, bool]:
    """Runs a drill, whose output is shown, and returns its row of the table and whether everything held."""
    began, line = time.monotonic(), ""
    command = [sys.executable, "-m", module, "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
    counts = re.match(r"(\d+) of (\d+) ", line)
    held, tried = counts.groups() if counts else ("-", "-")
    name = module.rpartition(".")[2]
    return f"| {name} | {tried} | {held} | {time.monotonic() - began:,.0f} |", process.returncode == 0 and held == tried


def main(modules: Sequence[str] = tuple(f"tests.drill.{name}" for name in DRILLS)) -> int:
    """Runs the drills and prints the table; returns 1 if something did not hold, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    rows = [row(module, seed) for module in modules]
    print("\n| drill | tried | held | seconds |\n|---|---|---|---|")
    print("\n".join(text for text, _ in rows))
    return int(not all(held for _, held in rows))


if __name__ == "__main__":
    raise SystemExit(main())
