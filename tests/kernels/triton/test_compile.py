"""torch.compile over the Triton kernels: network, energy and loss are one graph, with either loss."""

from __future__ import annotations

import pytest
import torch

from deepcrl.kernels import dispatch
from deepcrl.kernels.triton.infonce import infonce
from tests.kernels.test_compile import gradients
from tests.kernels.triton.conftest import DEVICE
from tests.kernels.triton.test_infonce import embeddings


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_trunk_is_one_graph(monkeypatch, precision):
    torch.compiler.reset()
    monkeypatch.setattr(dispatch, "_chosen", "triton")
    compiled = gradients("aot_eager", precision=precision, device=DEVICE.type)
    for got, want in zip(compiled, gradients(None, precision=precision, device=DEVICE.type), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


def test_the_fused_loss_is_one_graph():
    def run(step):
        tensors = [t.requires_grad_() for t in embeddings(17, 8)]
        loss, metrics = step(*tensors)
        return [loss, *metrics.values(), *torch.autograd.grad(loss, tensors)]

    torch.compiler.reset()
    compiled = run(torch.compile(infonce, fullgraph=True, backend="aot_eager"))
    for got, want in zip(compiled, run(infonce), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
