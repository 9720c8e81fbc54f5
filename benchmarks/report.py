"""How long a report of many runs takes to write, and to open in a headless Chromium: `deepcrl bench report`.

The runs are made up: every loss at several depths, three seeds each, with the metrics and rows of a run of an hour.
Opening is timed by the page itself, from its navigation until everything is drawn and laid out.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from itertools import islice, product
from pathlib import Path
from typing import Any

from deepcrl.cli.hydra.errors import ArgumentParser
from deepcrl.core.components import AGENTS, BUFFERS, ENCODERS, ENERGIES, ENVS, LOGGERS, LOSSES, discover
from deepcrl.core.files import user_path
from deepcrl.report.read import read_runs
from deepcrl.report.write import write_page
from deepcrl.run.directory import prepare
from deepcrl.run.environment import describe_environment
from deepcrl.run.metrics import JsonlLogger
from deepcrl.training.validate import validated

ROWS, EVALUATIONS = 600, 40
MEASURED = ("critic/loss", "critic/categorical_accuracy", "actor/loss", "actor/entropy", "train/time_at_goal")
STOPWATCH = """<script>
document.body.dataset.height = document.body.offsetHeight;  // the browser has to lay everything out to know
document.body.dataset.open = performance.now();
</script>"""


def make_run(path: Path, loss: str, depth: int, seed: int) -> None:
    """Writes a run directory as training leaves it, with smooth made-up curves."""
    config = validated(
        {
            "env": ENVS.defaults("point_u_maze"),
            "agent": AGENTS.defaults("crl"),
            "encoder": ENCODERS.defaults("residual_mlp") | {"depth": depth},
            "energy": ENERGIES.defaults("norm"),
            "loss": LOSSES.defaults(loss),
            "buffer": BUFFERS.defaults("ring"),
            "logger": LOGGERS.defaults("none"),
            "seed": seed,
        }
    )
    logger = JsonlLogger(prepare(path, config.to_dict(), resume=False).metrics_path)
    for i in range(ROWS):
        row = {"env_steps": 4000 * i, "grad_steps": 100 * i, "wall_seconds": 6.0 * i}
        row |= {key: math.sin(i / 90 + seed + 7 * k) / depth for k, key in enumerate(MEASURED)}
        if i % (ROWS // EVALUATIONS) == 0:
            score = 900 * (1 - math.exp(-i / 200)) / (1 + seed / 5)
            row |= {"eval/time_at_goal": score, "eval/success_any": score / 1000}
            row |= {"eval/final_distance": 9 - score / 100}
        logger.log(row)
    logger.close()


def opened(page: Path, chromium: str) -> float:
    """Returns the milliseconds from navigation until the page stands."""
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--timeout=20000", "--dump-dom"]
    command += [f"--user-data-dir={page.parent / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    taken = re.search(r'data-open="([\d.]+)"', done.stdout)
    assert taken, done.stderr[-2000:]
    return float(taken[1])


def run(num_runs: int, turns: int, json_path: str | None) -> dict[str, Any]:
    """Prints medians, and appends them to `json_path`."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise ValueError("Chromium is not installed, and nothing else opens the page here")
    discover()
    with tempfile.TemporaryDirectory() as folder:
        for loss, depth, seed in islice(product(LOSSES, (4, 16, 64), range(3)), num_runs):
            make_run(Path(folder, "runs", f"{loss}_{depth}_{seed}"), loss, depth, seed)
        page, start = Path(folder, "report.html"), time.perf_counter()
        write_page(read_runs([Path(folder, "runs")]), page, "Many runs")
        written = time.perf_counter() - start
        page.write_text(page.read_text().replace("</body>", STOPWATCH + "</body>"))
        taken = [opened(page, chromium) for _ in range(turns)]
        row = {"runs": num_runs, "page_bytes": page.stat().st_size, "write_seconds": round(written, 2)}
        row |= {"open_ms": round(statistics.median(taken))}
    print("  ".join(f"{key} {value:,}" for key, value in row.items()))
    if json_path is not None:
        about = describe_environment()
        facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
        with user_path(json_path).open("a") as file:
            file.write(json.dumps(row | facts) + "\n")
    return row


def main(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="deepcrl bench report", description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", help="append a JSON row to this file")
    options = parser.parse_args(arguments)
    run(options.runs, options.turns, options.json)
