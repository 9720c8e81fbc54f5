"""InfoNCE by blocks of rows against energies and InfoNCE as they are written, in fp64: value, metrics and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deepcrl.core import energies
from deepcrl.core.agents.common.contrastive_loss import FUSED_ENERGIES, contrastive_loss, logit_metrics
from deepcrl.core.losses.infonce import infonce as reference_loss
from deepcrl.kernels import blocked_infonce, dispatch
from deepcrl.training.build import build_agent, env_spec
from tests.kernels.conftest import relative_error
from tests.tiny import tiny  # noqa: F401 - a fixture

CPU = torch.device("cpu")
ENERGIES: dict[str, Any] = {name: energy() for energy, name in FUSED_ENERGIES.items()}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few rows, and a last one that is not full."""
    monkeypatch.setattr(blocked_infonce, "BLOCK_BYTES", 5 * 8 * 33)


def embeddings(rows: int, dim: int = 8, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    draws = torch.Generator().manual_seed(rows + dim)
    sa = torch.randn(rows, dim, generator=draws, dtype=dtype)
    return [sa + 0.5, sa + 0.7 * torch.randn(rows, dim, generator=draws, dtype=dtype) + 0.5]


def compare(tensors: list[torch.Tensor], energy: str, *, logsumexp_coef: float = 0.1) -> None:
    mine, truth = ([t.clone().requires_grad_() for t in tensors] for _ in range(2))
    loss, metrics = blocked_infonce.infonce(*mine, energy=energy, logsumexp_coef=logsumexp_coef)
    logits = ENERGIES[energy].pairwise(*truth)
    expected = reference_loss(logits, logsumexp_coef=logsumexp_coef)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    assert metrics.keys() == logit_metrics(logits.detach()).keys()
    for name, target in logit_metrics(logits.detach()).items():
        torch.testing.assert_close(metrics[name], target.double(), rtol=1e-7, atol=1e-7, msg=name)
        assert not metrics[name].requires_grad
    upstream = torch.tensor(-2.5, dtype=torch.float64)
    got, want = torch.autograd.grad(loss, mine, upstream), torch.autograd.grad(expected, truth, upstream)
    for value, target in zip(got, want, strict=True):
        assert value.isfinite().all()
        torch.testing.assert_close(value, target, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("energy", list(ENERGIES))
@pytest.mark.parametrize("rows", [1, 2, 33, 65])
def test_equals_the_loss_as_it_is_written(energy: str, rows: int) -> None:
    compare(embeddings(rows), energy)


@pytest.mark.parametrize("energy", list(ENERGIES))
def test_pairs_that_coincide_and_embeddings_that_are_zero(energy: str) -> None:
    sa, g = embeddings(33)
    g[:7] = sa[:7]
    sa[3] = g[3] = 0
    compare([sa, g], energy)


@pytest.mark.parametrize("coef", [0.0, 2.0])
def test_other_penalties(coef: float) -> None:
    compare(embeddings(33), "norm", logsumexp_coef=coef)


def test_large_logits_do_not_overflow() -> None:
    compare([40 * t for t in embeddings(33)], "dot")


def test_far_from_the_origin_fp32_is_as_exact_as_the_composed_loss() -> None:
    tensors = [(t + 10).float() for t in embeddings(33)]
    mine, plain = ([t.clone().requires_grad_() for t in tensors] for _ in range(2))
    truth = [t.double().requires_grad_() for t in tensors]
    losses = blocked_infonce.infonce(*mine)[0], reference_loss(ENERGIES["norm"].pairwise(*plain))
    want = torch.autograd.grad(reference_loss(ENERGIES["norm"].pairwise(*truth)), truth)
    grads = [torch.autograd.grad(*pair) for pair in zip(losses, (mine, plain), strict=True)]
    for value, composed, target in zip(*grads, want, strict=True):
        assert relative_error(value, target) < 2 * relative_error(composed, target)


def test_nan_in_one_row_is_nan_in_the_loss() -> None:
    sa, g = embeddings(33)
    sa[4, 0] = torch.nan
    assert blocked_infonce.infonce(sa, g)[0].isnan()


def test_it_serves_large_batches_on_a_cpu_unless_plain_torch_was_chosen() -> None:
    assert dispatch.fused_infonce(1024, CPU, 64) is blocked_infonce.infonce
    assert dispatch.fused_infonce(1023, CPU, 64) is None
    assert dispatch.fused_infonce(1024, torch.device("cuda"), 64) is None
    with dispatch.chosen("eager"):
        assert dispatch.fused_infonce(1024, CPU, 64) is None


def test_an_agent_of_a_large_batch_is_given_it(tiny) -> None:  # noqa: F811 - the fixture
    for batch_size, given in ((1024, blocked_infonce.infonce), (16, None)):
        config = tiny(batch_size=batch_size)
        assert getattr(build_agent(config, env_spec(config), CPU), "_fused_infonce") is given  # noqa: B009


def test_any_other_loss_or_energy_goes_through_the_logits() -> None:
    sa, g = embeddings(33)
    energy, loss = energies.ScaledDot(), lambda logits: logits.square().mean()
    value, _ = contrastive_loss(energy, loss, sa, g, fused=blocked_infonce.infonce)
    assert value == loss(energy.pairwise(sa, g))
