"""The fused loss against energies and InfoNCE in fp64: value, metrics and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepcrl.core import energies
from deepcrl.core.agents.common.contrastive_loss import logit_metrics
from deepcrl.core.losses.infonce import infonce as reference_loss
from deepcrl.kernels.triton.infonce import infonce
from tests.kernels.conftest import relative_error
from tests.kernels.triton.conftest import DEVICE

ENERGIES: dict[str, Any] = {
    "norm": energies.Norm(),
    "l2": energies.SquaredL2(),
    "dot": energies.Dot(),
    "cosine": energies.Cosine(),
}
TOLERANCE = 3e-6
"""Norm of the error over norm of the truth. Where pairs nearly coincide and digits cancel: twice the unfused error."""


def embeddings(rows: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns sa and g [rows, dim], near each other and far from the origin, as late in training."""
    draws = torch.Generator().manual_seed(rows + dim)
    sa = torch.randn(rows, dim, generator=draws) / dim**0.25
    g = sa + 0.7 * torch.randn(rows, dim, generator=draws) / dim**0.25
    return (sa + 0.5).to(DEVICE), (g + 0.5).to(DEVICE)


def compare(sa, g, energy, *, logsumexp_coef=0.1):
    mine = [t.clone().requires_grad_() for t in (sa, g)]
    truth = [t.double().requires_grad_() for t in (sa, g)]
    loss, metrics = infonce(*mine, energy=energy, logsumexp_coef=logsumexp_coef)
    logits = ENERGIES[energy].pairwise(*truth)
    expected = reference_loss(logits, logsumexp_coef=logsumexp_coef)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    want_metrics = logit_metrics(logits.detach())
    assert metrics.keys() == want_metrics.keys()
    for name, value in metrics.items():
        target = want_metrics[name].double()
        torch.testing.assert_close(value.double(), target, rtol=1e-5, atol=1e-5, msg=name)
    got = torch.autograd.grad(loss, mine, torch.tensor(-2.5, device=DEVICE))
    want = torch.autograd.grad(expected, truth, torch.tensor(-2.5, device=DEVICE, dtype=torch.float64))
    plain = [t.clone().requires_grad_() for t in (sa, g)]
    unfused = reference_loss(ENERGIES[energy].pairwise(*plain), logsumexp_coef=logsumexp_coef)
    same_precision = torch.autograd.grad(-2.5 * unfused, plain)
    for value, target, unfused_value in zip(got, want, same_precision, strict=True):
        assert relative_error(value, target) < max(TOLERANCE, 2 * relative_error(unfused_value, target))


@pytest.mark.parametrize("energy", list(ENERGIES))
@pytest.mark.parametrize("rows", [1, 2, 3, 17, 65, 130])
def test_equals_reference(energy, rows):
    compare(*embeddings(rows, 20), energy)


@pytest.mark.parametrize("dim", [1, 16, 64, 128])
def test_any_embedding(dim):
    compare(*embeddings(33, dim), "norm")


@pytest.mark.parametrize("rows", [63, 256, 1000])
def test_many_rows(rows):
    compare(*embeddings(rows, 16), "norm")


def test_other_penalty():
    compare(*embeddings(17, 8), "norm", logsumexp_coef=0.0)


def test_large_logits_do_not_overflow():
    sa, g = embeddings(17, 16)
    compare(20 * sa, 20 * g, "dot")


@pytest.mark.parametrize("energy", list(ENERGIES))
def test_coinciding_and_zero_embeddings_have_finite_gradients(energy):
    sa = torch.zeros(5, 16, device=DEVICE).requires_grad_()
    g = torch.zeros(5, 16, device=DEVICE).requires_grad_()
    loss, metrics = infonce(sa, g, energy=energy)
    loss.backward()
    assert sa.grad is not None
    assert g.grad is not None
    assert sa.grad.isfinite().all()
    assert g.grad.isfinite().all()
    assert metrics["categorical_accuracy"] == torch.tensor(0.2)  # all tie: the first counts, as in argmax


def test_a_nan_shows():
    sa, g = embeddings(5, 16)
    sa[2, 3] = torch.nan
    assert infonce(sa, g)[0].isnan()


def test_same_bits_every_time():
    def run():
        tensors = [t.requires_grad_() for t in embeddings(65, 16)]
        loss, _ = infonce(*tensors)
        return [loss, *torch.autograd.grad(loss, tensors)]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


def test_opcheck():
    torch.use_deterministic_algorithms(False)
    tensors = [t.requires_grad_() for t in embeddings(5, 16)]
    torch.library.opcheck(torch.ops.deepcrl.pairwise_logsumexp.default, (*tensors, "norm", 1e-6))
    sa, g = (t.detach() for t in tensors)
    logsumexp, positive, *_ = torch.ops.deepcrl.pairwise_logsumexp(sa, g, "norm", 1e-6)
    torch.library.opcheck(
        torch.ops.deepcrl.pairwise_logsumexp_backward.default,
        (logsumexp.clone(), positive, sa, g, logsumexp, "norm", 1e-6),
        test_utils=["test_schema", "test_faketensor"],
    )


def test_refuses_what_it_cannot_run():
    sa, g = embeddings(5, 16)
    with pytest.raises(ValueError, match="Did you mean 'norm'"):
        infonce(sa, g, energy="nrm")
    with pytest.raises(ValueError, match="torch.float64"):
        infonce(sa.double(), g.double())
    with pytest.raises(ValueError, match="D <= 128"):
        infonce(*embeddings(3, 200))
    with pytest.raises(ValueError, match=r"\[5, 16\] and \[4, 16\]"):
        infonce(sa, g[:4])
