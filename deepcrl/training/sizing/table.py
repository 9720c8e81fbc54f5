"""Before anything expensive: what a run will do, and whether it will fit."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from deepcrl.core.types import EnvSpec
from deepcrl.training.build import build_buffer, check_device
from deepcrl.training.config import RunConfig
from deepcrl.training.schedule import Schedule
from deepcrl.training.sizing.counts import AgentSizes, agent_sizes
from deepcrl.training.sizing.shapes import without_the_compiler
from deepcrl.training.sizing.simulations import simulation_bytes

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Preflight:
    """Sizes of a run, known before it is built."""

    schedule: Schedule
    agents: AgentSizes
    ring_bytes: int
    process_bytes: int
    """What the process has taken before anything is built: the interpreter and its libraries. 0 on a GPU."""
    available_bytes: int
    """Free memory of the device, with that of the process."""
    simulation_bytes: int = 0
    """What the environments take, and what is loaded for them. 0 on a GPU."""
    batch_bytes: int = 0
    """What a batch takes by itself, also where a gradient step is not known."""
    disk_bytes: int = 0
    """What the ring's files still have to grow by."""
    free_disk_bytes: int = 0

    @property
    def store(self) -> str:
        """What holds the transitions, in a word."""
        return "dataset" if self.schedule.offline else "ring"

    @property
    def parameters(self) -> dict[str, int]:
        """Parameter count of each network."""
        return self.agents.parameters

    @property
    def network_bytes(self) -> int:
        """Weights, gradients and optimiser."""
        return self.agents.network_bytes

    @property
    def step_bytes(self) -> int | None:
        """The most that a gradient step takes beside ring and networks. None: not known."""
        return self.agents.step_bytes

    @property
    def total_bytes(self) -> int:
        parts = (self.process_bytes, self.simulation_bytes, self.ring_bytes, self.network_bytes)
        return sum(parts) + max(self.step_bytes or 0, self.batch_bytes)

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
            (
                self.network_bytes,
                "networks with their optimisers",
                "encoder.depth, encoder.width or agent.embedding_dim",
            ),
            (
                max(self.step_bytes or 0, self.batch_bytes),
                "activations of a gradient step",
                "batch_size, or set encoder.checkpoint_blocks",
            ),
            (self.simulation_bytes, "simulations", "num_envs or num_eval_envs"),
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
            *([("", format_bytes(self.simulation_bytes), "simulations")] if self.simulation_bytes else []),
            ("", format_bytes(self.ring_bytes), self.store),
            ("", format_bytes(self.network_bytes), "networks, gradients and Adam"),
            ("", *self._step_row()),
            *([("disk", format_bytes(self.disk_bytes), "ring")] if self.disk_bytes else []),
        ]

    def _schedule_rows(self) -> list[tuple[str, str, str]]:
        s = self.schedule
        if s.offline:
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
    """Sizes up a run on `device` by `agent_sizes` and its ring, without memory, and looks at what the machine has free.

    Raises ValueError for a setting that `device` cannot serve.
    """
    check_device(config, device)
    on_gpu = device.type == "cuda"
    process = 0 if on_gpu else psutil.Process().memory_info().rss
    available = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available
    batch_bytes = 4 * config.batch_size * (2 * spec.state_dim + spec.action_dim + 2 * spec.goal_dim)
    if batch_bytes > available + process:  # PyTorch cannot even count with the shapes of larger ones
        free = format_bytes(available + process)
        raise ValueError(
            f"Not enough memory: a batch takes {format_bytes(batch_bytes)}, of {free} available; lower batch_size"
        )
    with without_the_compiler():
        ring = build_buffer(config, spec, torch.device("meta"))
    agents = agent_sizes(config, spec, device)
    return Preflight(
        schedule=Schedule.of(config),
        agents=agents,
        ring_bytes=ring.nbytes,
        process_bytes=process,
        simulation_bytes=0 if on_gpu else simulation_bytes(config),
        batch_bytes=batch_bytes,
        available_bytes=available + process,
        disk_bytes=ring.disk_nbytes,
        free_disk_bytes=_free_disk_bytes(Path(config.run_dir)),
    )


def _free_disk_bytes(path: Path) -> int:
    """Returns what is free on the disk where `path` is or will be."""
    path = path.resolve()
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free
