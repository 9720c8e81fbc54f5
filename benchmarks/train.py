"""Throughput of training on `ant`, learning included, at the reference's settings: `deepcrl bench train`.

64 environments, unroll 62, depth 4, width 256, batch 256, 100 gradient steps per unroll. What is timed is `collect` and
`learn` of the training loop themselves, after the prefill. Precisions take turns, an unroll each, in one process.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import torch

from deepcrl.cli.hydra.compose import compose_values
from deepcrl.cli.hydra.errors import ArgumentParser
from deepcrl.core.files import user_path
from deepcrl.run.environment import describe_environment
from deepcrl.training.build import build_run
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import collect, learn
from deepcrl.training.run import Run
from deepcrl.training.validate import validated

SETTINGS = ["env=ant", "num_envs=64", "unroll_length=62", "batch_size=256", "grad_steps_per_unroll=100"]
SETTINGS += ["num_eval_envs=1", "encoder.depth=4", "encoder.width=256"]


def prefilled_run(precision: str, overrides: list[str]) -> Run:
    """Returns a run that has taken its prefill and one training unroll."""
    run = build_run(validated(compose_values([*SETTINGS, f"precision={precision}", *overrides])))
    for _ in range(run.schedule.prefill_unrolls + 1):
        collect(run, Interrupt())
    learn(run, Interrupt())
    return run


def timed_unroll(run: Run) -> tuple[float, float]:
    """Takes one training unroll; returns the seconds of collecting and of learning."""
    start = time.perf_counter()
    collect(run, Interrupt())
    collected = time.perf_counter()
    learn(run, Interrupt())
    return collected - start, time.perf_counter() - collected


def measure(precisions: list[str], num_unrolls: int, overrides: list[str]) -> list[dict[str, Any]]:
    """Prints and returns environment steps per second, learning included, of each precision."""
    runs = {precision: prefilled_run(precision, overrides) for precision in precisions}
    seconds: dict[str, list[tuple[float, float]]] = {precision: [] for precision in precisions}
    for _ in range(num_unrolls):
        for precision, run in runs.items():
            seconds[precision].append(timed_unroll(run))
    rows = []
    for precision, run in runs.items():
        taken = run.schedule.env_steps_per_unroll
        rates = [taken / sum(pair) for pair in seconds[precision]]
        p20, *_, p80 = statistics.quantiles(rates, n=5)
        collecting, learning = (statistics.median(part) for part in zip(*seconds[precision], strict=True))
        median, updates = statistics.median(rates), run.config.grad_steps_per_unroll
        print(
            f"{precision}: {median:,.0f} env steps/s ({p20:,.0f} - {p80:,.0f}), {median / taken * updates:,.0f} "
            f"gradient steps/s; of an unroll, {collecting:.2f} s collecting and {learning:.2f} s learning"
        )
        rows.append(
            {
                "benchmark": "train",
                "variant": run.config.env["name"],
                "depth": run.config.encoder.get("depth"),
                "batch_size": run.config.batch_size,
                "precision": precision,
                "value": median,
                "unit": "env steps/s",
                "median": median,
                "p20": p20,
                "p80": p80,
            }
        )
    return rows


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark; further arguments are overrides, as of `deepcrl train`."""
    parser = ArgumentParser("deepcrl bench train", description=__doc__)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--unrolls", type=int, default=15, help="training unrolls to time (default: 15)")
    parser.add_argument("--json", type=user_path, default=None, help="append a row per precision to this file")
    options, overrides = parser.parse_known_args(argv)
    rows = measure(options.precisions, options.unrolls, overrides)
    if options.json:
        about = describe_environment()
        facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
        facts["num_threads"] = torch.get_num_threads()
        with options.json.open("a") as file:
            file.writelines(json.dumps(row | facts) + "\n" for row in rows)
