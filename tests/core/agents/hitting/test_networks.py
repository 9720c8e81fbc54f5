"""The networks behind the embeddings."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from deepcrl.core.agents.common.base import TrainableAgent
from deepcrl.core.agents.hitting.networks import FilmFusion, HazardBasis, HazardHead
from tests.core.agents.pieces import make_inputs


def test_the_fusion_is_its_formula() -> None:
    fusion = FilmFusion(3, 12, torch.Generator().manual_seed(0))
    sa, g = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        fusion.bias.uniform_(-1, 1)
    a, b = g @ fusion.weight[:3].T + fusion.bias[:3], g @ fusion.weight[3:].T + fusion.bias[3:]
    z = (1 + 0.1 * a) * sa + 0.1 * b
    torch.testing.assert_close(fusion(sa, g), torch.cat([z, g, z - g, z * g], 1))
    assert fusion.weight.abs().max() <= 3**-0.5


def test_a_basis_starts_at_even_odds_nearly() -> None:
    basis = HazardBasis(64, 1000, torch.Generator().manual_seed(0))
    assert basis.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not basis.bias.any()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_behind_the_head_is_in_fp32(precision: str) -> None:
    agent = TrainableAgent(inputs := replace(make_inputs(), precision=precision))
    head = HazardHead(agent, inputs, embedding_dim=8, basis_rank=4, num_bins=20, num_extra=3)
    sa, g = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(1))
    logit0, logits, extra = head(sa, g)
    features = agent.encode(head.head, head.fusion(sa, g))
    assert features.shape == (6, 1 + 4 + 3)
    torch.testing.assert_close(
        logits.double(), features[:, 1:5].double() @ head.basis.get_parameter("weight").double().T
    )
    assert torch.equal(logit0, features[:, 0])
    assert torch.equal(extra, features[:, 5:])
    assert {x.dtype for x in (logit0, logits, extra)} == {torch.float32}
    rounded = agent.encode(head.head, head.fusion(sa, g)) != head.head(head.fusion(sa, g))
    assert rounded.any() == (precision == "bf16")


@pytest.mark.parametrize(("name", "value"), [("embedding_dim", 0), ("basis_rank", 0)])
def test_refuses(name: str, value: int) -> None:
    inputs = make_inputs()
    with pytest.raises(ValueError, match=rf"^agent.{name} must be greater than 0, got 0$"):
        HazardHead(TrainableAgent(inputs), inputs, **{"embedding_dim": 8, "basis_rank": 4, "num_bins": 3, name: value})
