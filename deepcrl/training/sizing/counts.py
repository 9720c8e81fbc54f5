"""Sizes of a run's agents: parameters, memory of a gradient step, operations. One function, for the table before a run
and for reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch

from deepcrl.core.checks import about
from deepcrl.core.components import AGENTS
from deepcrl.core.contract.build import needs_futures
from deepcrl.core.types import EnvSpec
from deepcrl.kernels import dispatch
from deepcrl.training.build import build_agent
from deepcrl.training.config import RunConfig
from deepcrl.training.sizing.dry_run import counted_without_memory, peak_bytes
from deepcrl.training.sizing.flops import flops_per_action, flops_per_update
from deepcrl.training.sizing.shapes import without_the_compiler

BYTES_PER_PARAMETER = 16
"""fp32 weight, gradient and the two moments of Adam."""
HEAP_OVERHEAD = 0.1
"""What a heap that keeps freed blocks for the next step takes beyond those in use: 6 to 15% in `bench memory`."""
MAX_BUILT = 5_000_000
"""Parameters beyond which networks are not built to count their operations, but traced by their shapes alone."""


@dataclass(frozen=True, slots=True)
class AgentSizes:
    """What the agent that acts and its learners take, known before they are built."""

    parameters: dict[str, int]
    """Parameter count of each network, those of a learner behind its name."""
    step_bytes: int | None
    """The most that a gradient step takes beside `network_bytes`: activations, temporaries, the heap; None if that is
    not known."""
    flops_per_action: float | None = None
    flops_per_update: float | None = None
    """Operations of the agent that acts; None where they were not counted."""

    @property
    def network_bytes(self) -> int:
        """Weights, gradients and optimiser."""
        return BYTES_PER_PARAMETER * sum(self.parameters.values())


def agent_sizes(config: RunConfig, spec: EnvSpec, device: torch.device, *, operations: bool = False) -> AgentSizes:
    """Sizes up the agents of a run without taking their memory; `operations` says whether to count those as well.

    Parameters are counted on the `meta` device, with the run's own parts; gradient steps are taken on tensors without
    data, with the stand-ins of `dry_run`. On a GPU these steps are counted as those of the eager kernels. Raises
    ValueError for parts that do not fit together.
    """
    networks = countable("networks", "encoder.depth, encoder.width or agent.embedding_dim")
    with dispatch.chosen(config.kernels), networks:
        parameters = _parameters(config, spec)
    on_gpu = device.type == "cuda"
    network_bytes = AgentSizes(parameters, None).network_bytes
    with dispatch.chosen("eager" if on_gpu else config.kernels):
        try:
            with countable("steps", "batch_size, num_eval_envs or agent.num_candidates"):
                peak = (1 if on_gpu else 1 + HEAP_OVERHEAD) * peak_bytes(config, spec)
            step_bytes = max(round(peak) - network_bytes, 0)
        except RuntimeError:  # too deep to count call by call, or in need of real tensors: it may run all the same
            step_bytes = None
        per_action, per_update = _operations(config, spec, sum(parameters.values())) if operations else (None, None)
    return AgentSizes(parameters, step_bytes, per_action, per_update)


@contextmanager
def countable(what: str, lower: str) -> Iterator[None]:
    """Raises ValueError, which says what to lower, for a tensor of more bytes than a number can hold."""
    try:
        yield
    except (RuntimeError, OverflowError) as error:
        if "overflow" not in str(error) and not isinstance(error, OverflowError):
            raise
        raise ValueError(f"Not enough memory: no machine holds such {what}; lower {lower}") from error


def _parameters(config: RunConfig, spec: EnvSpec) -> dict[str, int]:
    meta = torch.device("meta")
    with meta, without_the_compiler():
        agents = {"": build_agent(config, spec, meta)}
        for name in config.learners:
            with about(f"learner {name!r}"):
                agents[f"{name}/"] = build_agent(config.learner(name), spec, meta)
    return {
        f"{owner}{name}": sum(p.numel() for p in net.parameters())
        for owner, agent in agents.items()
        for name, net in agent.networks.items()
    }


def _operations(config: RunConfig, spec: EnvSpec, num_parameters: int) -> tuple[float | None, float | None]:
    """Returns the operations of an action and of an update, None for both if counting them needs real tensors."""
    try:
        with counted_without_memory() if num_parameters > MAX_BUILT else nullcontext():
            agent = build_agent(config, spec, torch.device("cpu"))
            futures = needs_futures(AGENTS, [config.agent])
            return flops_per_action(agent, spec), flops_per_update(agent, spec, config.batch_size, futures)
    except RuntimeError:
        return None, None
