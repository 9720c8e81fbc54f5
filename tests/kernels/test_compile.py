"""torch.compile takes a whole network, an energy and a loss as one graph, forward and backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepcrl.core.energies import Norm
from deepcrl.core.losses.infonce import infonce
from deepcrl.nets.residual_mlp import ResidualMLP


def critic_loss(sa_encoder: ResidualMLP, goal_encoder: ResidualMLP, x: torch.Tensor, goal: torch.Tensor, bf16: bool):
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=bf16):
        sa, g = sa_encoder(x), goal_encoder(goal)
    return infonce(Norm().pairwise(sa, g))


def gradients(compiler: str | None, *, precision: str, device: str = "cpu", **form: Any) -> list[torch.Tensor]:
    """Returns the loss, and the gradients of both inputs and of every parameter of both networks."""
    draws = torch.Generator().manual_seed(0)
    nets = [ResidualMLP(size, 8, draws, depth=8, width=32, **form).to(device) for size in (6, 2)]
    inputs = [torch.randn(17, size, generator=draws).to(device).requires_grad_() for size in (6, 2)]
    step: Any = critic_loss if compiler is None else torch.compile(critic_loss, fullgraph=True, backend=compiler)
    loss = step(*nets, *inputs, precision == "bf16")
    loss.backward()
    found = [t.grad for t in (*inputs, *(p for net in nets for p in net.parameters()))]
    assert all(g is not None for g in found)
    return [loss.detach(), *[g for g in found if g is not None]]


@pytest.mark.parametrize(
    ("compiler", "precision", "form"),
    [
        ("eager", "fp32", {}),
        ("aot_eager", "fp32", {}),
        ("aot_eager", "bf16", {"checkpoint_blocks": 1}),
        ("aot_eager", "fp32", {"activation": "relu", "norm": "none"}),
    ],
)
@pytest.mark.usefixtures("kernels")
def test_one_graph_computes_what_no_graph_computes(compiler, precision, form):
    torch.compiler.reset()
    compiled = gradients(compiler, precision=precision, **form)
    for got, want in zip(compiled, gradients(None, precision=precision, **form), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


def test_the_graph_does_not_grow_with_depth():
    sizes = {}
    for depth in (4, 64):
        torch.compiler.reset()
        graphs = []
        net = ResidualMLP(3, 2, torch.Generator().manual_seed(0), depth=depth, width=16)
        torch.compile(net, fullgraph=True, backend=lambda graph, _, seen=graphs: seen.append(graph) or graph)(
            torch.zeros(5, 3)
        )
        (graph,) = graphs
        sizes[depth] = len(graph.graph.nodes)
        trunks = [node for node in graph.graph.nodes if node.target is torch.ops.deepcrl.trunk.default]
        assert len(trunks) == 1
    assert sizes[4] == sizes[64]
