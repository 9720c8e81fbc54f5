"""Before anything expensive: what a run will do, and whether it will fit."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from deepcrl.core.build import build_agent, build_buffer, check_device
from deepcrl.core.config import RunConfig, Schedule
from deepcrl.core.types import EnvSpec

GIB = 2**30
# fp32 weight, gradient and the two moments of Adam
BYTES_PER_PARAMETER = 16


@dataclass(frozen=True, slots=True)
class Preflight:
    """Sizes of a run, known before it is built."""

    schedule: Schedule
    parameters: dict[str, int]
    """Parameter count of each network."""
    ring_bytes: int
    available_bytes: int
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
        return self.ring_bytes + self.network_bytes

    def check(self) -> None:
        """Raises ValueError that says what to lower, if the memory or the disk cannot suffice."""
        if self.disk_bytes > self.free_disk_bytes:
            raise ValueError(
                f"Not enough disk space: the ring takes {format_bytes(self.disk_bytes)} in run_dir, of "
                f"{format_bytes(self.free_disk_bytes)} free; lower buffer.capacity or num_envs"
            )
        if self.total_bytes <= self.available_bytes:
            return
        what, lower = self.store, "encoder.depth or encoder.width"
        if self.ring_bytes > self.network_bytes:
            lower = "buffer.capacity or num_envs" if what == "ring" else "the number of trajectories"
        raise ValueError(
            f"Not enough memory: the {what} takes {self.ring_bytes / GIB:.1f} GiB and networks with their optimisers "
            f"{self.network_bytes / GIB:.1f} GiB, of {self.available_bytes / GIB:.1f} GiB available; lower {lower}"
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """Returns the table that is printed before training, as (what, how much, how it comes about)."""
        return [
            *self._schedule_rows(),
            ("parameters", f"{sum(self.parameters.values()):,}", ""),
            *(("", f"{count:,}", name) for name, count in self.parameters.items()),
            ("memory", format_bytes(self.total_bytes), f"of {format_bytes(self.available_bytes)} available"),
            ("", format_bytes(self.ring_bytes), self.store),
            ("", format_bytes(self.network_bytes), "networks, gradients and Adam"),
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


def format_bytes(count: int) -> str:
    """Returns 812.0 MiB or 3.4 GiB."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / 2**20:.1f} MiB"


def preflight(config: RunConfig, spec: EnvSpec, device: torch.device) -> Preflight:
    """Sizes up a run by building its networks and its ring without memory (on PyTorch's `meta` device).

    Raises ValueError for a setting that `device` cannot serve.
    """
    check_device(config, device)
    meta = torch.device("meta")
    with meta:
        agent = build_agent(config, spec, meta)
    ring = build_buffer(config, spec, meta)
    available = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return Preflight(
        schedule=Schedule.of(config),
        parameters={name: sum(p.numel() for p in net.parameters()) for name, net in agent.networks.items()},
        ring_bytes=ring.nbytes,
        available_bytes=available,
        disk_bytes=ring.disk_nbytes,
        free_disk_bytes=_free_disk_bytes(Path(config.run_dir)),
    )


def _free_disk_bytes(path: Path) -> int:
    """Returns what is free on the disk where `path` is or will be."""
    path = path.resolve()
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free
