"""The loss and the metrics of a batch of embeddings, against their definitions; the fused path is in tests/kernels."""

from __future__ import annotations

import math

import pytest
import torch

from deepcrl.core.agents.common.contrastive_loss import contrastive_loss, logit_metrics
from deepcrl.core.components import ENERGIES, LOSSES


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("energy", ["norm", "scaled_dot", "iqe"])
def test_is_the_loss_of_the_pairwise_energies(energy, loss):
    draws = torch.Generator().manual_seed(0)
    sa, g = (torch.randn(6, 8, generator=draws, dtype=torch.float64) for _ in range(2))
    energy, loss = ENERGIES.build({"name": energy}), LOSSES.build({"name": loss})
    value, metrics = contrastive_loss(energy, loss, sa, g)
    logits = energy.pairwise(sa, g)
    torch.testing.assert_close(value, loss(logits))
    torch.testing.assert_close(metrics, logit_metrics(logits))


def test_metrics_of_known_logits():
    logits = torch.tensor([[0.0, 1.0], [-2.0, 3.0]], requires_grad=True).detach()
    metrics = {name: float(value) for name, value in logit_metrics(logits).items()}
    assert metrics == pytest.approx(
        {
            "categorical_accuracy": 0.5,  # the second row's largest is on the diagonal, the first row's is not
            "logits_pos": 1.5,
            "logits_neg": -0.5,
            "logsumexp": (math.log(1 + math.e) + math.log(math.exp(-2) + math.exp(3))) / 2,
        }
    )


def test_metrics_of_a_batch_of_one():
    metrics = logit_metrics(torch.tensor([[2.0]]))
    assert [float(value) for value in metrics.values()] == [1.0, 2.0, 0.0, 2.0]
