"""Offsets against the distribution that each strategy states, written out as a list of probabilities."""

import numpy as np
import pytest
import scipy.stats
import torch

from deepcrl.core.components import RELABELS


def probabilities(cfg, n):
    """P(1), ..., P(n) by definition."""
    k = np.arange(1, n + 1)
    match cfg:
        case {"name": "geometric", "discount": discount}:
            return discount**k / (discount**k).sum()
        case {"name": "geometric_clipped", "discount": discount}:
            endless = (1 - discount) * discount ** (k - 1.0)
            return np.append(endless[:-1], 1 - endless[:-1].sum())
        case {"name": "uniform_future"}:
            return np.full(n, 1 / n)
        case {"name": "final"}:
            return (k == n).astype(float)
        case {"name": "next_k", "k": most}:
            return (k <= most) / min(most, n)
    raise AssertionError(cfg)


STRATEGIES = [
    *({"name": "geometric", "discount": discount} for discount in (0.5, 0.99, 0.999)),
    *({"name": "geometric_clipped", "discount": discount} for discount in (0.5, 0.99)),
    {"name": "uniform_future"},
    {"name": "final"},
    *({"name": "next_k", "k": k} for k in (1, 5)),
]


def fits(observed, probability):
    """Whether counts could come from these probabilities; rare values are counted together, impossible ones never."""
    assert observed[probability == 0].sum() == 0
    expected = probability * observed.sum()
    common = expected >= 5
    rare = probability[~common].sum() > 0
    observed, expected = (np.append(x[common], x[~common].sum() if rare else []) for x in (observed, expected))
    return len(observed) == 1 or scipy.stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize("steps_left", [1, 2, 7, 300])
@pytest.mark.parametrize("cfg", STRATEGIES, ids=str)
def test_offsets_follow_the_stated_distribution(cfg, steps_left):
    generator = torch.Generator().manual_seed(1)
    offset = RELABELS.build(cfg)(torch.full((100_000,), steps_left), generator)
    assert offset.dtype == torch.int64
    observed = np.bincount(offset.numpy(), minlength=steps_left + 1)
    assert observed[0] == 0
    assert len(observed) == steps_left + 1
    assert fits(observed[1:], probabilities(cfg, steps_left))


@pytest.mark.parametrize("cfg", STRATEGIES, ids=str)
def test_each_row_has_its_own_end(cfg):
    steps_left = torch.tensor([1, 2, 3, 50]).repeat_interleave(20_000)
    before = steps_left.clone()
    offset = RELABELS.build(cfg)(steps_left, torch.Generator().manual_seed(2))
    assert torch.equal(steps_left, before)
    for n, drawn in zip((1, 2, 3, 50), offset.view(4, -1), strict=True):
        assert fits(np.bincount(drawn.numpy(), minlength=n + 1)[1:], probabilities(cfg, n))


def test_the_check_sees_a_wrong_distribution():
    observed = np.bincount(np.random.default_rng(0).integers(0, 7, 100_000), minlength=7)
    assert fits(observed, np.full(7, 1 / 7))
    assert not fits(observed, probabilities({"name": "geometric", "discount": 0.99}, 7))


def test_the_definitions_are_those_of_every_registered_strategy():
    assert {cfg["name"] for cfg in STRATEGIES} == set(RELABELS)


@pytest.mark.parametrize("name", ["geometric", "geometric_clipped"])
@pytest.mark.parametrize("discount", [0.0, 1.0, -0.5])
def test_refuses_a_discount_out_of_range(name, discount):
    with pytest.raises(ValueError, match=f"relabel.discount must lie between 0 and 1, both excluded, got {discount}"):
        RELABELS.build({"name": name, "discount": discount})


def test_refuses_no_steps():
    with pytest.raises(ValueError, match=r"relabel.k must be at least 1 step, got 0"):
        RELABELS.build({"name": "next_k", "k": 0})
