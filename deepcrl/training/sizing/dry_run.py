"""The memory of gradient steps, counted by taking them on tensors that have shapes but no data."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deepcrl.core.types import Batch, EnvSpec, Observation
from deepcrl.kernels.trunk import scratch_bytes
from deepcrl.training.build import build_agent, build_buffer
from deepcrl.training.config import RunConfig
from deepcrl.training.sizing.shapes import ShapesOnly, without_the_compiler

STAND_INS: dict[str, Any] = {
    "energy": {"name": "norm"},
    "loss": {"name": "infonce"},
    "buffer": {"name": "ring", "capacity": 1000},
}
"""What is counted in place of a run's own: their code is not to be run, nor their files opened, before the run."""
MAX_CALLS = 2000
"""Of operators to choose an action. The residual trunk is one at any depth; who calls some for each layer has so many
at depth 64 to 128, and there two gradient steps take seconds to count."""


class TooManyCallsError(RuntimeError):
    """Counting would take longer than anybody wants to wait for a prediction."""


def peak_bytes(config: RunConfig, spec: EnvSpec) -> int:
    """Returns the most that a run's agents take on a CPU, in bytes, while they take gradient steps, or act in all
    evaluation environments at once.

    Two steps are counted: the second has Adam's moments and the first one's gradients to carry. An agent or an encoder
    that looks at the values of tensors raises what PyTorch raises for tensors that have none. TooManyCallsError for an
    agent that chooses an action by more than `MAX_CALLS` operators.
    """
    configs, cpu = (config, *map(config.learner, config.learners)), torch.device("cpu")
    config = replace(config, **STAND_INS, prefill_steps=2, unroll_length=1)  # these fit into the ring
    with counted_without_memory() as count:
        ring = build_buffer(config, spec, cpu)
        agents = [build_agent(replace(c, **STAND_INS), spec, cpu) for c in configs]
        batch = ring.sample(2)
        for agent in agents:
            before = count.num_calls
            agent.act(_repeated(batch, 2), explore=False)
            if count.num_calls - before > MAX_CALLS:
                raise TooManyCallsError
            agent.act(_repeated(batch, config.num_eval_envs), explore=False)
        for _ in range(2):
            batch = ring.sample(config.batch_size)
            for agent in agents:
                agent.update(batch)
    return count.peak - ring.nbytes


def _repeated(batch: Batch, num: int) -> Observation:
    return Observation(batch.state[:1].expand(num, -1), batch.goal[:1].expand(num, -1))


class CountBytes(TorchDispatchMode):
    """Counts the bytes of the tensors made while it is active: those alive now, and the most at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = self.num_calls = 0
        self._counted: weakref.WeakSet[Any] = weakref.WeakSet()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # would import the compiler, to tell it not to compile this

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        self.num_calls += 1
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.device.type != "meta":
                self._count(getattr(tensor, "meta", tensor).untyped_storage())
        self.peak = max(self.peak, self.live + scratch_bytes(func, args))
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._counted:
            self._counted.add(storage)
            self.live += storage.nbytes()
            weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, count: int) -> None:
        self.live -= count


@contextmanager
def counted_without_memory() -> Iterator[CountBytes]:
    """Counts what is built and computed inside, all on the CPU, without allocating or computing anything.

    Modules stay where they are: PyTorch cannot move those without data, not even from the CPU to the CPU.
    """
    stays = patch.object(nn.Module, "to", lambda module, *_, **__: module)
    with stays, without_the_compiler(), ShapesOnly(), CountBytes() as count:
        yield count
