"""Before anything expensive: what a run will do, and whether it will fit."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from deepcrl.core.types import EnvSpec
from deepcrl.train.build import build_agent, build_buffer, check_device
from deepcrl.train.config import RunConfig
from deepcrl.train.schedule import Schedule
from deepcrl.train.sizing.dry_run import peak_bytes

GIB = 2**30
# fp32 weight, gradient and the two moments of Adam
BYTES_PER_PARAMETER = 16
# What a heap that keeps freed blocks for the next step takes beyond those in use: 6 to 15% in `bench memory`
HEAP_OVERHEAD = 0.1


@dataclass(frozen=True, slots=True)
class Preflight:
    """Sizes of a run, known before it is built."""

    schedule: Schedule
    parameters: dict[str, int]
    """Parameter count of each network."""
    ring_bytes: int
    step_bytes: int | None
    """The most that a gradient step takes beside those two: activations, temporaries, the heap. None: not known."""
    process_bytes: int
    """What the process has taken before anything is built: the interpreter and its libraries. 0 on a GPU."""
    available_bytes: int
    """Free memory of the device, with that of the process."""
    disk_bytes: int = 0
    """What the ring's files still have to grow by."""
    free_disk_bytes: int = 0

    @property
    def store(self) -> str:
        """What holds the transitions, in a word."""
        return "ring" if self.schedule.env_steps_per_unroll else "dataset"

    @property
    def network_bytes(self) -> int:
        """Weights, gradients and optimiser."""
        return BYTES_PER_PARAMETER * sum(self.parameters.values())

    @property
    def total_bytes(self) -> int:
        return self.process_bytes + self.ring_bytes + self.network_bytes + (self.step_bytes or 0)

    def check(self) -> None:
        """Raises ValueError that says what to lower, if the memory or the disk cannot suffice."""
        if self.disk_bytes > self.free_disk_bytes:
            raise ValueError(
                f"Not enough disk space: the ring takes {format_bytes(self.disk_bytes)} in run_dir, of "
                f"{format_bytes(self.free_disk_bytes)} free; lower buffer.capacity or num_envs"
            )
        if self.total_bytes <= self.available_bytes:
            return
        fewer = "buffer.capacity or num_envs" if self.store == "ring" else "the number of trajectories"
        parts = (
            (self.ring_bytes, f"the {self.store}", fewer),
            (self.network_bytes, "networks with their optimisers", "encoder.depth or encoder.width"),
            (self.step_bytes or 0, "activations of a gradient step", "batch_size, or set encoder.checkpoint_blocks"),
        )
        taken = ", ".join(f"{what} {count / GIB:.1f} GiB" for count, what, _ in parts)
        lower = max(parts)[2]
        raise ValueError(
            f"Not enough memory: {taken}, of {self.available_bytes / GIB:.1f} GiB available; lower {lower}"
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """Returns the table that is printed before training, as (what, how much, how it comes about)."""
        return [
            *self._schedule_rows(),
            ("parameters", f"{sum(self.parameters.values()):,}", ""),
            *(("", f"{count:,}", name) for name, count in self.parameters.items()),
            ("memory", format_bytes(self.total_bytes), f"at most, of {format_bytes(self.available_bytes)} available"),
            ("", format_bytes(self.process_bytes), "process"),
            ("", format_bytes(self.ring_bytes), self.store),
            ("", format_bytes(self.network_bytes), "networks, gradients and Adam"),
            ("", *self._step_row()),
            *([("disk", format_bytes(self.disk_bytes), "ring")] if self.disk_bytes else []),
        ]

    def _schedule_rows(self) -> list[tuple[str, str, str]]:
        s = self.schedule
        if not s.env_steps_per_unroll:
            rounds = f"{s.training_unrolls:,} rounds of {s.grad_steps_per_unroll:,}, all from the dataset"
            return [("gradient steps", f"{s.total_grad_steps:,}", rounds)]
        per_grad_step = s.env_steps_per_unroll / s.grad_steps_per_unroll
        unrolls = f"{s.prefill_unrolls:,} + {s.training_unrolls:,} unrolls (prefill + training)"
        return [
            ("env steps", f"{s.total_env_steps:,}", f"{unrolls} of {s.env_steps_per_unroll:,}"),
            ("gradient steps", f"{s.total_grad_steps:,}", f"{s.grad_steps_per_unroll:,} after a training unroll"),
            ("", f"{per_grad_step:.1f}", "env steps per gradient step"),
        ]

    def _step_row(self) -> tuple[str, str]:
        if self.step_bytes is None:
            return "?", "activations: not predicted for many calls per layer, or what needs real tensors"
        return format_bytes(self.step_bytes), "activations of a gradient step"


def format_bytes(count: int) -> str:
    """Returns 812.0 MiB or 3.4 GiB."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / 2**20:.1f} MiB"


def preflight(config: RunConfig, spec: EnvSpec, device: torch.device) -> Preflight:
    """Sizes up a run by building its networks and its ring, and taking gradient steps, all without memory.

    On a GPU the steps are counted as those of the eager kernels. Raises ValueError for a setting that `device` cannot
    serve.
    """
    check_device(config, device)
    meta, on_gpu = torch.device("meta"), device.type == "cuda"
    process = 0 if on_gpu else psutil.Process().memory_info().rss
    available = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available
    with meta:
        agents = {"": build_agent(config, spec, meta)}
        agents |= {f"{name}/": build_agent(config.learner(name), spec, meta) for name in config.learners}
    ring = build_buffer(config, spec, meta)
    sizes = Preflight(
        schedule=Schedule.of(config),
        parameters={
            f"{owner}{name}": sum(p.numel() for p in net.parameters())
            for owner, agent in agents.items()
            for name, net in agent.networks.items()
        },
        ring_bytes=ring.nbytes,
        step_bytes=None,
        process_bytes=process,
        available_bytes=available + process,
        disk_bytes=ring.disk_nbytes,
        free_disk_bytes=_free_disk_bytes(Path(config.run_dir)),
    )
    try:
        peak = peak_bytes(replace(config, kernels="eager") if on_gpu else config, spec)
    except RuntimeError:  # too deep to count call by call, or in need of real tensors: it may run all the same
        return sizes
    heap = 0 if on_gpu else HEAP_OVERHEAD
    return replace(sizes, step_bytes=max(round((1 + heap) * peak) - sizes.network_bytes, 0))


def _free_disk_bytes(path: Path) -> int:
    """Returns what is free on the disk where `path` is or will be."""
    path = path.resolve()
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free
