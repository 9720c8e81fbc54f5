"""Two independent parts of an update in two threads, on a CPU.

An update of a shallow network is hundreds of operations too small to keep a second core busy, and Python between them.
Two threads, each with half of the cores, do more than all cores on one operation at a time (docs/kernels.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, runtime_checkable

import torch

from deepcrl.core.types import Agent

First = TypeVar("First")
Second = TypeVar("Second")
MAX_PARAMETERS = 10_000_000
"""Of an agent's networks together. The layers of larger ones keep all cores busy, and two threads would need the memory
of both parts at once."""


class TwoThreads:
    """Runs two functions one after the other, or, once started, at the same time: the results are the same."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    @property
    def started(self) -> bool:
        return self._pool is not None

    def start(self) -> None:
        """From now on runs them at the same time."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="update")

    def run(self, first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
        """Returns what both return, as soon as both have; raises what the first one raised, or else the second."""
        if self._pool is None:
            return first(), second()
        other = self._pool.submit(first)
        try:
            result = second()
        finally:
            other.exception()  # waits: nobody may find the first one still at work
        return other.result(), result


@runtime_checkable
class TwoThreadedAgent(Agent, Protocol):
    """An agent whose update can use two threads."""

    @property
    def two_threads(self) -> TwoThreads: ...


def divide_cores(agents: Sequence[Agent], device: torch.device) -> None:
    """Lets the agents' updates use two threads where that is faster, each with half of PyTorch's threads.

    That is on a CPU with two threads or more, if every agent is a `TwoThreadedAgent` with networks of at most
    `MAX_PARAMETERS`.
    """
    small = [agent for agent in agents if isinstance(agent, TwoThreadedAgent) and _is_small(agent)]
    if device.type != "cpu" or torch.get_num_threads() < 2 or len(small) < len(agents):
        return
    for agent in small:
        agent.two_threads.start()
    torch.set_num_threads(torch.get_num_threads() // 2)


def _is_small(agent: Agent) -> bool:
    return sum(p.numel() for net in agent.networks.values() for p in net.parameters()) <= MAX_PARAMETERS
