"""Times InfoNCE with its gradients, composed and by blocks of rows, side by side on a CPU: `deepcrl bench infonce`.

Both take turns within one process, so that a busy machine slows them alike; compare the ratios.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepcrl.cli.hydra.errors import ArgumentParser
from deepcrl.core.agents.common.contrastive_loss import FUSED_ENERGIES, contrastive_loss
from deepcrl.core.files import user_path
from deepcrl.core.losses.infonce import infonce
from deepcrl.kernels import blocked_infonce
from deepcrl.run.environment import describe_environment

BATCH_SIZES = (256, 512, 1024, 2048, 4096)
DIM = 64


def measure(batch_size: int, energy: Any, rounds: int) -> tuple[list[float], list[float]]:
    """Returns the milliseconds of `rounds` turns each, composed and by blocks."""
    draws = torch.Generator().manual_seed(0)
    sa, g = (torch.randn(batch_size, DIM, generator=draws).requires_grad_() for _ in range(2))
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for times, fused in zip(taken, (None, blocked_infonce.infonce), strict=True):
            start = time.perf_counter()
            _step(sa, g, energy, fused)
            if turn:
                times.append(1e3 * (time.perf_counter() - start))
    return taken


def _step(sa: Tensor, g: Tensor, energy: Any, fused: Callable[..., Any] | None) -> None:
    loss, _ = contrastive_loss(energy, infonce, sa, g, fused=fused)
    torch.autograd.grad(loss, [sa, g])


def run(batch_sizes: list[int], energies: list[str], rounds: int) -> list[dict[str, Any]]:
    """Prints a line per energy and batch size, and returns the rows."""
    named, rows = {name: energy() for energy, name in FUSED_ENERGIES.items()}, []
    print(f"InfoNCE, metrics and gradients, embeddings of {DIM}, {torch.get_num_threads()} threads; median ms")
    for name in energies:
        for size in batch_sizes:
            composed, blocked = map(statistics.median, measure(size, named[name], rounds))
            print(f"{name:>8} {size:>6}: composed {composed:8.1f}  by blocks {blocked:8.1f}  {composed / blocked:.2f}x")
            row = {"benchmark": "infonce", "energy": name, "batch_size": size, "composed_ms": composed}
            rows.append(row | {"blocked_ms": blocked, "num_threads": torch.get_num_threads()})
    return rows


def main(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="deepcrl bench infonce", description=__doc__)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=list(BATCH_SIZES))
    parser.add_argument("--energies", nargs="+", choices=list(FUSED_ENERGIES.values()), default=["norm", "cosine"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=user_path, help="append rows to this file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = run(options.batch_sizes, options.energies, options.rounds)
    if options.json:
        about = describe_environment()
        facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
        with options.json.open("a") as file:
            file.writelines(json.dumps(row | facts) + "\n" for row in rows)
