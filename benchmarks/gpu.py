"""Times the gradient step and the kernels on this machine's GPU: `make bench-gpu`, in under 8 minutes.

Needs PyTorch and Triton, nothing else. Times are CUDA events around each call. `tflops` counts the
matmuls' useful work and `gbytes_per_second` the least traffic (see `Work`); `roofline_share` is the time that the
card's peaks allow over the time taken, and missing for a card that PEAKS does not know. Not yet run on a GPU.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from deepcrl.core.agents.common.cuda_graph import with_cuda_graph
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.crl import CRL
from deepcrl.core.energies import Norm
from deepcrl.core.files import user_path
from deepcrl.core.losses.infonce import infonce
from deepcrl.core.types import Batch, EnvSpec
from deepcrl.kernels import dispatch, eager
from deepcrl.kernels.backend import Gradients, Saved, Trunk, Wanted
from deepcrl.nets.residual_mlp import ResidualMLP
from deepcrl.run.environment import describe_environment

SIZES = {4: 256, 16: 512, 64: 512, 256: 512, 1024: 512}
"""Depth -> batch size."""
WIDTH, EMBEDDING_DIM = 256, 64
SPEC = EnvSpec(state_dim=29, action_dim=8, goal_indices=(0, 1))
VARIANTS = ("eager-fp32", "eager-tf32", "eager-bf16", "triton-fp32", "triton-bf16")
KERNEL_DEPTHS, PAIR_SIZES = (64, 1024), (512, 4096, 16384)

PEAKS = {
    "NVIDIA A100-PCIE-40GB": {"bf16": 312e12, "tf32": 156e12, "fp32": 19.5e12, "bytes": 1.555e12},
    "NVIDIA A100-SXM4-40GB": {"bf16": 312e12, "tf32": 156e12, "fp32": 19.5e12, "bytes": 1.555e12},
    "NVIDIA A100 80GB PCIe": {"bf16": 312e12, "tf32": 156e12, "fp32": 19.5e12, "bytes": 1.935e12},
    "NVIDIA A100-SXM4-80GB": {"bf16": 312e12, "tf32": 156e12, "fp32": 19.5e12, "bytes": 2.039e12},
    "NVIDIA H100 80GB HBM3": {"bf16": 989e12, "tf32": 495e12, "fp32": 67e12, "bytes": 3.35e12},
    "NVIDIA H100 PCIe": {"bf16": 756e12, "tf32": 378e12, "fp32": 51e12, "bytes": 2.0e12},
    "NVIDIA H200": {"bf16": 989e12, "tf32": 495e12, "fp32": 67e12, "bytes": 4.8e12},
}
"""Dense FLOP/s and bytes/s by torch's name of the card. Source: NVIDIA's data sheets of A100, H100 and H200."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a call must do: FLOPs of its matmuls, and bytes that must cross memory if nothing stays cached.

    A trunk's bytes are those of rung `stack` (docs/kernels.md): weights, and saved activations written and read once.
    """

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, times: int) -> Work:
        return Work(times * self.flops, times * self.bytes)


def trunk_forward(depth: int, rows: int, itemsize: int, *, learns: bool = True) -> Work:
    """Weight in; matmul output, statistics and, where the weights learn, matmul input out."""
    saved = (2 if learns else 1) * rows * WIDTH * itemsize + 8 * rows
    return Work(2 * rows * WIDTH**2, WIDTH**2 * itemsize + saved) * depth


def trunk_backward(depth: int, rows: int, itemsize: int, *, learns: bool = True) -> Work:
    """The chain of input gradients and, where the weights learn, their fp32 gradients."""
    activation = rows * WIDTH * itemsize
    chain = Work(2 * rows * WIDTH**2, WIDTH**2 * itemsize + activation + 8 * rows)
    gradient = Work(2 * rows * WIDTH**2, 3 * activation + 4 * WIDTH**2)  # grad_dense out and in, inputs in
    return (chain + gradient if learns else chain) * depth


def update_work(depth: int, rows: int, itemsize: int) -> Work:
    """A whole update: three networks that learn, the critic's once more for the actor's step, Adam, pairs, ends.

    Adam and the norm move 32 bytes per trunk weight; bf16 operands are cast once per pass: 6 more. The ends (stems,
    heads) and the pairwise products count as FLOPs alone.
    """
    learning = trunk_forward(depth, rows, itemsize) + trunk_backward(depth, rows, itemsize)
    frozen = trunk_forward(depth, rows, itemsize, learns=False) + trunk_backward(depth, rows, itemsize, learns=False)
    adam = 3 * 32 + (4 * 6 if itemsize == 2 else 0)
    state, action, goal, out = SPEC.state_dim, SPEC.action_dim, SPEC.goal_dim, EMBEDDING_DIM
    stems = 2 * (state + goal) + 4 * (state + action) + 2 * goal
    heads = 3 * 2 * action + (2 + 3 + 3) * out
    ends = 2 * rows * WIDTH * (stems + heads) + 6 * rows**2 * EMBEDDING_DIM
    return learning * 3 + frozen + Work(ends, adam * depth * WIDTH**2)


def roofline_seconds(work: Work, precision: str, gpu: str) -> float | None:
    """Returns the least seconds by the card's peaks; fp32 may be three tf32 products. None for an unknown card."""
    peak = PEAKS.get(gpu)
    if peak is None:
        return None
    flops = max(peak["fp32"], peak["tf32"] / 3) if precision == "fp32" else peak[precision]
    return max(work.flops / flops, work.bytes / peak["bytes"])


class CudaClock:
    """Marks moments on the GPU's own time line."""

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def wait(self) -> None:
        torch.cuda.synchronize()

    def milliseconds(self, start: Any, end: Any) -> float:
        return start.elapsed_time(end)


def timed(step: Callable[[], object], seconds: float, clock: Any) -> tuple[float, list[float]]:
    """Returns the first call's seconds on the host's clock, and milliseconds of each later call, at least 10."""
    start = time.perf_counter()
    step()
    clock.wait()
    first = time.perf_counter() - start
    for _ in range(4):  # one more than a graph's warm-up, so that it is recorded
        step()
    clock.wait()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while not times or (time.perf_counter() < deadline and len(times) < 1000):
        marks = [clock.mark()]
        for _ in range(10):  # without waiting in between, as in training
            step()
            marks.append(clock.mark())
        clock.wait()
        times += [clock.milliseconds(a, b) for a, b in itertools.pairwise(marks)]
    return first, times


def row(what: dict[str, Any], work: Work, first: float, times: list[float], gpu: str) -> dict[str, Any]:
    """Returns one result, as `benchmarks/update.py` writes them, with what was achieved."""
    cuts = statistics.quantiles(times, n=5, method="inclusive")
    median = statistics.median(times)
    result = what | {"value": median, "unit": "ms", "median": median, "p20": cuts[0], "p80": cuts[-1]}
    result |= {"num_calls": len(times), "first_call_seconds": first, "gpu": gpu}
    result |= {"tflops": work.flops / median / 1e9, "gbytes_per_second": work.bytes / median / 1e6}
    least = roofline_seconds(work, what["precision"], gpu)
    return result if least is None else result | {"roofline_share": 1e3 * least / median}


def update_step(variant: str, depth: int, rows: int, device: torch.device, *, graph: bool) -> Callable[[], object]:
    """Returns a function that launches one gradient step."""
    kernels, precision = variant.split("-")
    dispatch.check(kernels, device)
    dispatch.choose(kernels)
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")

    def encoder(in_dim: int, out_dim: int, generator: torch.Generator) -> nn.Module:
        return ResidualMLP(in_dim, out_dim, generator, depth=depth, width=WIDTH)

    draws = torch.Generator().manual_seed(0)
    sizes = (SPEC.state_dim, SPEC.action_dim, SPEC.goal_dim)
    state, action, goal = (torch.randn(rows, size, generator=draws).to(device) for size in sizes)
    critic = Norm(), infonce, device, precision
    agent: Any = CRL(
        AgentInputs(
            SPEC,
            encoder,
            encoder,
            encoder,
            *critic,
            seed=0,
            fused_infonce=partial(dispatch.fused_infonce, rows, device),
        )
    )
    return partial((with_cuda_graph(agent) if graph else agent).update, Batch(state, action.tanh(), goal))


def kernel_calls(
    implementation: str, depth: int, rows: int, precision: str, device: torch.device
) -> dict[str, Callable[[], object]]:
    """Returns the trunk's forward and backward pass alone; `implementation` is `eager` or a rung of Triton's."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    torch.set_float32_matmul_precision("highest")
    draws = torch.Generator().manual_seed(0)
    weight = (torch.randn(depth, WIDTH, WIDTH, generator=draws) / WIDTH**0.5).to(device, dtype)
    x = torch.randn(rows, WIDTH, generator=draws).to(device)
    bias, scale = torch.zeros(depth, WIDTH, device=device), torch.ones(depth, WIDTH, device=device)
    trunk = Trunk(weight, bias, scale, bias, 4, "swish", dtype)
    inputs, dense = (torch.empty(depth, rows, WIDTH, device=device, dtype=dtype) for _ in range(2))
    saved = Saved(inputs, dense, torch.empty(depth, 2, rows, device=device))
    into = Gradients(torch.empty(depth, WIDTH, WIDTH, device=device), torch.empty(depth, 3, WIDTH, device=device))
    module, options = eager, {}
    if implementation != "eager":
        from deepcrl.kernels.triton import trunk as module

        options = {"rung": implementation}
    wanted = Wanted(True, True, True)
    forward = partial(module.forward, x, trunk, saved, **options)
    forward()  # so that the backward pass alone finds what it needs
    return {"forward": forward, "backward": partial(module.backward, x, trunk, saved, wanted, into, **options)}


def pair_step(implementation: str, rows: int, device: torch.device) -> Callable[[], object]:
    """Returns energies and InfoNCE, forward and backward, of embeddings [rows, EMBEDDING_DIM]."""
    sa, g = (torch.randn(rows, EMBEDDING_DIM, device=device, requires_grad=True) for _ in range(2))
    if implementation == "eager":
        return lambda: torch.autograd.grad(infonce(Norm().pairwise(sa, g)), (sa, g))
    from deepcrl.kernels.triton.infonce import infonce as fused

    return lambda: torch.autograd.grad(fused(sa, g)[0], (sa, g))


Job = tuple[dict[str, Any], Work, Callable[[], Callable[[], object]]]


def jobs(device: torch.device) -> Iterator[Job]:
    """Yields what to measure: its description, its work, and a function that prepares it."""
    for rows in PAIR_SIZES:
        for implementation in ("eager", "triton"):
            what = {"benchmark": "gpu_infonce", "variant": implementation, "batch_size": rows, "precision": "fp32"}
            yield (
                what,
                Work(6 * rows**2 * EMBEDDING_DIM, 16 * rows * EMBEDDING_DIM),
                partial(pair_step, implementation, rows, device),
            )
    for depth in KERNEL_DEPTHS:
        for implementation in ("eager", "norm", "stack"):
            for precision, itemsize in (("fp32", 4), ("bf16", 2)):
                for name, work in (("forward", trunk_forward), ("backward", trunk_backward)):
                    what = {"benchmark": f"gpu_trunk_{name}", "variant": implementation, "depth": depth}
                    what |= {"batch_size": SIZES[depth], "precision": precision}
                    arguments = (implementation, depth, SIZES[depth], precision, device)
                    yield what, work(depth, SIZES[depth], itemsize), lambda a=arguments, n=name: kernel_calls(*a)[n]
    for depth, rows in SIZES.items():
        for variant in VARIANTS:
            kernels, precision = variant.split("-")
            work = update_work(depth, rows, 2 if precision == "bf16" else 4)
            for graph in (False, True):
                what = {"benchmark": "gpu_update", "variant": kernels, "depth": depth, "batch_size": rows}
                what |= {"precision": precision, "cuda_graph": graph}
                yield what, work, partial(update_step, variant, depth, rows, device, graph=graph)


def run(todo: list[Job], gpu: str, clock: Any, *, seconds: float, minutes: float) -> Iterator[dict[str, Any]]:
    """Measures each job for about `seconds`; yields its row, or prints why there is none.

    No job starts after `minutes`. An error is printed and ends its own row alone.
    """
    deadline = time.perf_counter() + 60 * minutes
    for what, work, prepare in todo:
        label = " ".join(f"{key}={value}" for key, value in what.items())
        if time.perf_counter() > deadline:
            print(f"not measured, out of time: {label}")
            continue
        try:
            result = row(what, work, *timed(prepare(), seconds, clock), gpu)
        except RuntimeError as error:
            print(f"failed: {label}: {' '.join(str(error).split())[:200]}")
        else:
            print(f"{result['median']:10.3f} ms {result['tflops']:8.1f} TFLOP/s  {label}", flush=True)
            yield result
        gc.collect()  # networks and graphs of this job, before those of the next


def main(argv: list[str] | None = None) -> None:
    """Measures everything; `--json FILE` appends one row per job, as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="deepcrl bench gpu", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=1.5, help="measuring time per row")
    parser.add_argument("--minutes", type=float, default=7.0, help="no row starts later than this")
    parser.add_argument("--json", type=user_path, help="append rows to this file")
    args = parser.parse_args(argv)
    if not torch.cuda.is_available():
        sys.exit("bench gpu: this PyTorch sees no GPU")
    device, about = torch.device("cuda"), describe_environment()
    facts = {"machine": about["machine"], "versions": about["versions"], "commit": about["git"]}
    todo = list(jobs(device))
    done = 0
    for result in run(todo, torch.cuda.get_device_name(), CudaClock(), seconds=args.seconds, minutes=args.minutes):
        done += 1
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            with args.json.open("a") as file:
                file.write(json.dumps(result | facts) + "\n")
    if done < len(todo):
        sys.exit(f"bench gpu: {len(todo) - done} of {len(todo)} rows are missing")


if __name__ == "__main__":
    main()
