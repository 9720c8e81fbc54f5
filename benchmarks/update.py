"""Times one full gradient step (actor, temperature, critic, three Adams) side by side: `deepcrl bench update`.

Variants take turns within one process, two steps each per round, the second one timed, so that a busy or throttled
machine slows all of them alike; compare the ratios. `deepcrl` rows run `CRL.update` itself with `encoder=residual_mlp`,
on the cores as a run divides them; `plain` rows run the same agent with a network written as a module per layer;
`flax` is our own jitted Flax + Optax version of the step.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepcrl.cli.hydra.errors import ArgumentParser
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.common.two_threads import divide_cores
from deepcrl.core.agents.crl import CRL
from deepcrl.core.energies import Norm
from deepcrl.core.files import user_path
from deepcrl.core.losses.infonce import infonce
from deepcrl.core.types import Batch, EnvSpec
from deepcrl.kernels.reference import PlainResidualMLP
from deepcrl.nets.residual_mlp import ResidualMLP
from deepcrl.run.environment import describe_environment
from deepcrl.training.process import ALL_THREADS

SIZES = {4: 256, 16: 512, 64: 512, 256: 512}
"""Depth -> batch size."""
WIDTH = 256
SPEC = EnvSpec(state_dim=29, action_dim=8, goal_indices=(0, 1))
VARIANTS = ("deepcrl-fp32", "deepcrl-bf16", "plain-fp32", "plain-bf16", "flax-fp32")
PEER = "flax-fp32"


def make_batch(batch_size: int) -> Batch:
    """Returns a random batch of `ant`'s sizes."""
    draws = torch.Generator().manual_seed(0)
    sizes = (SPEC.state_dim, SPEC.action_dim, SPEC.goal_dim)
    state, action, goal = (torch.randn(batch_size, size, generator=draws) for size in sizes)
    return Batch(state, action.tanh(), goal)


def make_step(variant: str, depth: int, batch_size: int) -> Callable[[], object]:
    """Returns a function that takes one gradient step of `variant`, and returns when it is done."""
    batch = make_batch(batch_size)
    kind, precision = variant.split("-")
    if kind == "flax":
        peer = _load_peer()
        return peer.make_step(depth, WIDTH, {n: getattr(batch, n).numpy() for n in ("state", "action", "goal")})

    def encoder(in_dim: int, out_dim: int, generator: torch.Generator) -> nn.Module:
        if kind == "plain":
            return PlainResidualMLP(in_dim, out_dim, depth=depth, width=WIDTH)
        return ResidualMLP(in_dim, out_dim, generator, depth=depth, width=WIDTH)

    inputs = AgentInputs(SPEC, encoder, encoder, encoder, Norm(), infonce, torch.device("cpu"), precision, seed=0)
    agent = CRL(inputs)
    if kind == "deepcrl":
        divide_cores([agent], torch.device("cpu"))
    num_threads = torch.get_num_threads()
    torch.set_num_threads(ALL_THREADS)

    def step() -> None:
        torch.set_num_threads(num_threads)
        agent.update(batch)

    return step


def _load_peer() -> Any:
    """Imports flax_peer.py from beside this file: benchmarks are scripts, not a package."""
    spec = importlib.util.spec_from_file_location("flax_peer", Path(__file__).with_name("flax_peer.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Flax's dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def measure(depth: int, variants: tuple[str, ...], seconds: float) -> list[dict[str, Any]]:
    """Returns a row per variant: the first call's seconds, then quantiles over interleaved rounds (at least 5)."""
    steps, first, times = {}, {}, {variant: [] for variant in variants}
    for variant in variants:
        start = time.perf_counter()
        steps[variant] = make_step(variant, depth, SIZES[depth])
        steps[variant]()
        first[variant] = time.perf_counter() - start
    for step in steps.values():
        step()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times[variants[0]]) < 5:
        for variant, step in steps.items():
            step()  # while threads of the variant before still spin
            start = time.perf_counter()
            step()
            times[variant].append(1e3 * (time.perf_counter() - start))
    return [_row(variant, depth, times[variant], first[variant]) for variant in variants]


def _row(variant: str, depth: int, times: list[float], first: float) -> dict[str, Any]:
    cuts = statistics.quantiles(times, n=5, method="inclusive")
    return {
        "benchmark": "update",
        "variant": variant.split("-")[0],
        "depth": depth,
        "batch_size": SIZES[depth],
        "precision": variant.split("-")[1],
        "value": statistics.median(times),
        "unit": "ms",
        "median": statistics.median(times),
        "p20": cuts[0],
        "p80": cuts[-1],
        "num_calls": len(times),
        "first_call_seconds": first,
        "num_threads": torch.get_num_threads(),
    }


def run(
    depths: tuple[int, ...] = tuple(SIZES), variants: tuple[str, ...] = VARIANTS, seconds: float = 20.0
) -> list[dict[str, Any]]:
    """Measures every variant at every depth for about `seconds` each depth, prints a table, and returns the rows."""
    if PEER in variants and not importlib.util.find_spec("flax"):
        others = " ".join(variant for variant in variants if variant != PEER)
        raise ValueError(f"{PEER} needs Flax: pip install 'deepcrl[bench]', or leave it out: --variants {others}")
    print(f"one gradient step, {torch.get_num_threads()} threads; ms: median (p20 - p80); ratio: {PEER} / variant")
    rows = []
    for depth in depths:
        print(f"\ndepth {depth}, batch {SIZES[depth]}, width {WIDTH}")
        new = measure(depth, variants, seconds)
        peers = {f"{row['variant']}-{row['precision']}": row["median"] for row in new}
        for name, row in zip(variants, new, strict=True):
            ratio = f"{peers[PEER] / row['median']:6.2f}x" if PEER in peers else ""
            spread = f"({row['p20']:.1f} - {row['p80']:.1f})"
            print(
                f"  {name:<14}{row['median']:9.1f} {spread:<20}{ratio}  first call {row['first_call_seconds']:6.2f} s"
            )
        rows += new
    return rows


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark from the command line; `--json FILE` appends one JSON row per variant and depth."""
    parser = ArgumentParser(prog="deepcrl bench update", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--depths", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seconds", type=float, default=20.0, help="measuring time per depth")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=user_path, help="append rows to this file")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    rows = run(tuple(args.depths), tuple(args.variants), args.seconds)
    if args.json:
        about = describe_environment()
        facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        with args.json.open("a") as file:
            file.writelines(json.dumps(row | facts) + "\n" for row in rows)


if __name__ == "__main__":
    main()
