"""Counts what one gradient step launches: `python benchmarks/launches.py`. Needs no GPU, and prints a row per rung.

Every operation of torch's that computes counts as one launch, as does every Triton kernel; views and allocations count
nothing. The kernels are counted instead of run. A card differs by a little: the fused Adam, the norms of large
parameters and some reductions take more than one launch there, while three casts of weight gradients fall away. Width
and batch are small: neither changes what is launched. Matmuls are in bf16.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from deepcrl.core.agents.common.cuda_graph import WARM_UP_STEPS, CudaGraphAgent
from deepcrl.core.agents.common.inputs import AgentInputs, FusedInfoNCE
from deepcrl.core.agents.crl import CRL
from deepcrl.core.energies import Norm
from deepcrl.core.losses.infonce import infonce
from deepcrl.core.types import Batch, EnvSpec
from deepcrl.kernels import eager, products, trunk
from deepcrl.nets.residual_mlp import ResidualMLP

RUNGS = {"eager": None, "norm": "norm", "stack": "stack"}
DEPTHS = (64, 1024)
SPEC = EnvSpec(state_dim=29, action_dim=8, goal_indices=(0, 1))
ALLOCATES = ("empty", "new_empty", "empty_like", "empty_strided", "detach", "_unsafe_view")


class Launches(TorchDispatchMode):
    """Counts torch's operations while it is on, inside our operators too; kernels are added to `triton`."""

    def __init__(self) -> None:
        super().__init__()
        self.torch = self.triton = 0
        self.opaque: dict[Any, Callable[..., Any]] = {
            torch.ops.deepcrl.trunk.default: trunk.trunk,
            torch.ops.deepcrl.trunk_backward.default: trunk.trunk_backward,
        }

    @property
    def total(self) -> int:
        return self.torch + self.triton

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.opaque:
            with self:
                return self.opaque[func](*args, **(kwargs or {}))
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("the step waits for the device: it reads a tensor's value")
        self.torch += _computes(func)
        return func(*args, **(kwargs or {}))


def _computes(func: Any) -> bool:
    """Whether `func` writes a tensor: no allocation, and no view, whose result aliases what nobody writes."""
    if func.overloadpacket.__name__ in ALLOCATES:
        return False
    results = [r.alias_info for r in func._schema.returns]
    return not (results and all(alias is not None and not alias.is_write for alias in results))


class Tape:
    """Stands in for a CUDA graph, whose replay is one launch."""

    def __init__(self, counter: Launches) -> None:
        self._counter = counter

    def warm_up(self, step: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        return step()

    def record(self, step: Callable[[], None]) -> None:
        step()

    def replay(self) -> None:
        self._counter.torch += 1


def count(rung: str, depth: int, *, graph: bool = False) -> Launches:
    """Returns what one CRL update launches, after its optimisers have made their state."""

    def encoder(in_dim: int, out_dim: int, generator: torch.Generator) -> nn.Module:
        return ResidualMLP(in_dim, out_dim, generator, depth=depth, width=16)

    def fused_infonce(embedding_dim: int) -> FusedInfoNCE | None:
        if RUNGS[rung] is None:
            return None
        from deepcrl.kernels.triton import infonce as fused

        return fused.infonce

    critic = Norm(), infonce, torch.device("cpu"), "bf16"
    agent: Any = CRL(AgentInputs(SPEC, encoder, encoder, encoder, *critic, seed=0, fused_infonce=fused_infonce))
    draws = torch.Generator().manual_seed(0)
    sizes = (SPEC.state_dim, SPEC.action_dim, SPEC.goal_dim)
    batch = Batch(*(torch.randn(16, size, generator=draws) for size in sizes))
    launches = Launches()
    if graph:
        agent = CudaGraphAgent(agent, Tape(launches))
    with _on(rung, launches):
        for _ in range(WARM_UP_STEPS + 1 if graph else 1):
            agent.update(batch)
        launches.torch = launches.triton = 0
        with launches:
            agent.update(batch)
    return launches


@contextmanager
def _on(rung: str, launches: Launches) -> Iterator[None]:
    """Puts a rung behind the trunk's operator, and a counter behind its kernels and those of the fused loss."""
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(products, "bf16_is_fast", return_value=True))  # as on a GPU
        if RUNGS[rung] is None:
            patches.enter_context(mock.patch.object(trunk, "backend", return_value=eager))
        else:
            for patch in _patches(RUNGS[rung], launches):
                patches.enter_context(patch)
        yield


def _patches(rung: str | None, launches: Launches) -> list[Any]:
    from deepcrl.kernels.triton import infonce as fused
    from deepcrl.kernels.triton import norm, stack
    from deepcrl.kernels.triton import trunk as triton_trunk

    launches.opaque |= {
        torch.ops.deepcrl.pairwise_logsumexp.default: fused.pairwise_logsumexp._init_fn,
        torch.ops.deepcrl.pairwise_logsumexp_backward.default: fused.pairwise_logsumexp_backward._init_fn,
    }
    module = SimpleNamespace(
        prepare=triton_trunk.prepare,
        forward=partial(triton_trunk.forward, rung=rung),
        backward=partial(triton_trunk.backward, rung=rung),
    )
    kernels = [(norm, "norm_forward_kernel"), (norm, "norm_backward_kernel")]
    kernels += [(stack, "stack_forward_kernel"), (stack, "stack_backward_kernel")]
    kernels += [(fused, "rows_kernel"), (fused, "gradient_kernel")]
    return [
        mock.patch.object(trunk, "backend", return_value=module),
        mock.patch.object(fused, "unsupported", return_value=None),
        *(mock.patch.object(where, name, _Counted(launches)) for where, name in kernels),
    ]


class _Counted:
    """A kernel that is counted instead of run."""

    def __init__(self, launches: Launches) -> None:
        self._launches = launches

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        return self._launch

    def _launch(self, *args: Any, **kwargs: Any) -> None:
        self._launches.triton += 1


def main() -> None:
    """Prints one JSON row per rung and depth."""
    cases = [(rung, False) for rung in RUNGS] + [("stack", True)]
    for rung, graph in cases:
        for depth in DEPTHS:
            found = count(rung, depth, graph=graph)
            row = {"benchmark": "launches", "variant": rung, "cuda_graph": graph, "depth": depth}
            print(json.dumps(row | {"torch": found.torch, "triton": found.triton, "value": found.total}), flush=True)


if __name__ == "__main__":
    main()
