"""A whole gradient step as one CUDA graph: one launch for the thousands that a deep network takes.

Not yet run on a GPU: everything but the capture itself is tested with a stand-in for it.
Source: PyTorch's notes on CUDA graphs, section "Whole-network capture".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from deepcrl.core.types import Agent, Batch, Observation

WARM_UP_STEPS = 3
"""Ordinary steps before the recording, on its stream: libraries set themselves up, kernels compile, Adam allocates."""


class Capture(Protocol):
    """Runs a step now, or records it to run it again and again."""

    def warm_up(self, step: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Runs `step` as it will be recorded; returns its result."""
        ...

    def record(self, step: Callable[[], None]) -> None:
        """Records what `step` launches. Nothing is computed."""
        ...

    def replay(self) -> None:
        """Computes what was recorded, on the memory that it was recorded on."""
        ...


@runtime_checkable
class CapturableAgent(Agent, Protocol):
    """An agent whose `update` never waits for the device and takes the same branches at every step."""

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]: ...

    @property
    def generators(self) -> dict[str, torch.Generator]:
        """All that `update` draws from."""
        ...


class CudaGraphAgent:
    """An agent whose updates are recorded once and then replayed; otherwise the agent that it is given.

    The first `WARM_UP_STEPS` updates are ordinary ones, so each update is a gradient step on its own batch. Whatever
    `update` decides in Python (a learning rate, a branch) stays as it was at the recording; loading a state records
    anew. Batches must have one size. The metrics returned are copies: the next update leaves them alone.
    """

    def __init__(self, agent: CapturableAgent, capture: Capture) -> None:
        self.ungraphed, self._capture = agent, capture
        self.needs_transitions = agent.needs_transitions
        self._forget()

    def _forget(self) -> None:
        self._num_warm_ups = 0
        self._names: list[str] = []
        self._inputs: Batch | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        return self.ungraphed.networks

    @property
    def generators(self) -> dict[str, torch.Generator]:
        return self.ungraphed.generators

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        return self.ungraphed.act(observation, explore=explore)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step; returns 0-dim metrics. Raises ValueError for a batch of another size."""
        if self._num_warm_ups < WARM_UP_STEPS:
            self._num_warm_ups += 1
            metrics = self._capture.warm_up(lambda: self.ungraphed.update(batch))
            self._names = list(metrics)
            return metrics
        if self._inputs is None:
            self._inputs = self._record(batch)
        _copy(batch, self._inputs)
        self._capture.replay()
        return dict(zip(self._names, self._outputs.clone().unbind(), strict=True))

    def _record(self, batch: Batch) -> Batch:
        """Records an update of the tensors that it returns, with its metrics in `_outputs`."""
        inputs = type(batch)(*[tensor.clone() for tensor in _tensors(batch)])
        self._outputs = batch.state.new_empty(len(self._names))

        def step() -> None:
            metrics = self.ungraphed.update(inputs)
            self._outputs.copy_(torch.stack([metrics[name] for name in self._names]))

        with _capturable(self.ungraphed.optimizers.values()):
            self._capture.record(step)
        return inputs

    def state_dict(self) -> dict[str, Any]:
        return self.ungraphed.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads, and forgets the recording: an optimiser takes over the loaded tensors, which are elsewhere."""
        self.ungraphed.load_state_dict(state)
        self._forget()


class CudaCapture:
    """Captures on a stream of its own. Draws from `generators` go on from where each is, at every replay."""

    def __init__(self, generators: Iterable[torch.Generator]) -> None:
        self._generators = list(generators)
        self._stream = torch.cuda.Stream()

    def warm_up(self, step: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = step()
        current.wait_stream(self._stream)
        return result

    def record(self, step: Callable[[], None]) -> None:
        self._graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph, stream=self._stream):
            step()

    def replay(self) -> None:
        self._graph.replay()


def with_cuda_graph(agent: Agent) -> CudaGraphAgent:
    """Returns `agent`, which lives on a GPU, with its updates in a CUDA graph; ValueError if they cannot be."""
    if not isinstance(agent, CapturableAgent):
        raise ValueError(f"cuda_graph=true: {type(agent).__name__} has no `optimizers` and `generators` to record")
    if reason := getattr(agent, "no_cuda_graph_reason", ""):
        raise ValueError(f"cuda_graph=true: {reason}")
    return CudaGraphAgent(agent, CudaCapture(agent.generators.values()))


def _tensors(batch: Batch) -> list[Tensor]:
    return [getattr(batch, field.name) for field in dataclasses.fields(batch)]


def _copy(batch: Batch, into: Batch) -> None:
    """Copies all tensors, in one launch where they are of one dtype."""
    if batch.state.shape != into.state.shape:
        raise ValueError(f"cuda_graph=true: batches must have one size, {len(into.state)}; got {len(batch.state)}")
    torch._foreach_copy_(_tensors(into), _tensors(batch))  # pyright: ignore[reportPrivateImportUsage]


@contextmanager
def _capturable(optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[None]:
    """Lets the optimisers' steps be recorded, for which torch wants to be told; it warns whoever says so always."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    before = [group["capturable"] for group in groups]
    try:
        for group in groups:
            group["capturable"] = True
        yield
    finally:
        for group, value in zip(groups, before, strict=True):
            group["capturable"] = value
