"""Before anything expensive: what a run will do, and whether it will fit."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def network_bytes(self) -> int:
        """Weights, gradients and optimiser."""
        return BYTES_PER_PARAMETER * sum(self.parameters.values())

    @property
    def total_bytes(self) -> int:
        return self.ring_bytes + self.network_bytes

    def check(self) -> None:
        """Raises ValueError that says what to lower, if the memory cannot suffice."""
        if self.total_bytes <= self.available_bytes:
            return
        ring_is_larger = self.ring_bytes > self.network_bytes
        lower = "buffer.capacity or num_envs" if ring_is_larger else "encoder.depth or encoder.width"
        raise ValueError(
            f"Not enough memory: the ring takes {self.ring_bytes / GIB:.1f} GiB and networks with their optimisers "
            f"{self.network_bytes / GIB:.1f} GiB, of {self.available_bytes / GIB:.1f} GiB available; lower {lower}"
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """Returns the table that is printed before training, as (what, how much, how it comes about)."""
        s = self.schedule
        per_grad_step = s.env_steps_per_unroll / s.grad_steps_per_unroll
        unrolls = f"{s.prefill_unrolls:,} + {s.training_unrolls:,} unrolls (prefill + training)"
        return [
            ("env steps", f"{s.total_env_steps:,}", f"{unrolls} of {s.env_steps_per_unroll:,}"),
            ("gradient steps", f"{s.total_grad_steps:,}", f"{s.grad_steps_per_unroll:,} after a training unroll"),
            ("", f"{per_grad_step:.1f}", "env steps per gradient step"),
            ("parameters", f"{sum(self.parameters.values()):,}", ""),
            *(("", f"{count:,}", name) for name, count in self.parameters.items()),
            ("memory", format_bytes(self.total_bytes), f"of {format_bytes(self.available_bytes)} available"),
            ("", format_bytes(self.ring_bytes), "ring"),
            ("", format_bytes(self.network_bytes), "networks, gradients and Adam"),
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
        agents = {"": build_agent(config, spec, meta)}
        agents |= {f"{name}/": build_agent(config.learner(name), spec, meta) for name in config.learners}
    ring = build_buffer(config, spec, meta)
    available = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return Preflight(
        schedule=Schedule.of(config),
        parameters={
            f"{owner}{name}": sum(p.numel() for p in net.parameters())
            for owner, agent in agents.items()
            for name, net in agent.networks.items()
        },
        ring_bytes=ring.nbytes,
        available_bytes=available,
    )
