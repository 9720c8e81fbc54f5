"""The likelihood and the value of hazards, against slow loops in float64 and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from deepcrl.core.agents.hitting.bins import TimeBins, bin_edges
from deepcrl.core.agents.hitting.hazard import SMALLEST_LOG, hazard_nll, hazard_value, survival, value_weights
from deepcrl.core.agents.hitting.labels import HittingLabels

CPU = torch.device("cpu")
EDGES = {"steps": list(range(13)), "growing": bin_edges(12, 4)}


def every_label(horizon: int) -> HittingLabels:
    """Reached at each step, and not reached until each."""
    time = torch.cat([torch.arange(horizon), torch.arange(horizon + 1)])
    hit = torch.arange(len(time)) < horizon
    return HittingLabels(hit, time, known=torch.ones_like(hit))


def random_logits(size: int, num_bins: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    logit0, logits = 2 * torch.randn(size, generator=g), 3 * torch.randn(size, num_bins, generator=g)
    return logit0.requires_grad_(), logits.requires_grad_()


def slow_nll(logit0: Tensor, logits: Tensor, hit: bool, time: int, edges: list[int]) -> Tensor:
    p0, hazard = torch.sigmoid(logit0), torch.sigmoid(logits)
    if hit and time == 0:
        return -p0.log()
    likelihood = 1 - p0
    for k in range(len(edges) - 1):
        if hit and edges[k] <= time < edges[k + 1]:
            return -(likelihood * hazard[k]).log()
        if edges[k + 1] <= time:
            likelihood = likelihood * (1 - hazard[k])
    return -likelihood.log()


@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_the_likelihood_is_that_of_a_loop(edges: list[int]) -> None:
    bins, labels = TimeBins(edges, CPU), every_label(12)
    ours = random_logits(25, bins.num)
    theirs = [x.detach().double().requires_grad_() for x in ours]
    loss = hazard_nll(*ours, labels, bins)
    expected = torch.stack(
        [slow_nll(theirs[0][i], theirs[1][i], bool(labels.hit[i]), int(labels.time[i]), edges) for i in range(25)]
    )
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    weight = torch.linspace(-1, 2, 25)
    for a, b in zip(
        torch.autograd.grad(loss @ weight, ours), torch.autograd.grad(expected @ weight.double(), theirs), strict=True
    ):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_probabilities_of_all_times_sum_to_one(edges: list[int]) -> None:
    bins = TimeBins(edges, CPU)
    time = torch.tensor([0, *(t for t in edges[1:-1]), 12])  # at once, in each later bin, never
    labels = HittingLabels(time < 12, time, known=time >= 0)
    logit0, logits = random_logits(1, bins.num)
    with torch.no_grad():
        logits[:, 0] = -30  # nothing is reached in the first bin, which holds step 0 alone
        p = (-hazard_nll(logit0.expand(len(time)), logits.expand(len(time), -1), labels, bins)).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-6)
    never = survival(logit0, logits)[0, -1]
    assert p[-1].item() == pytest.approx(never.item(), rel=1e-5)


def test_maximum_likelihood_finds_the_hazard_of_a_geometric() -> None:
    """P(T = 0) = 0.3, then each step is the one with probability 0.2: the likelihood, weighted by all times' shares."""
    bins, time = TimeBins(list(range(9)), CPU), torch.arange(9)
    share = torch.cat([torch.tensor([0.3]), 0.7 * 0.2 * 0.8 ** torch.arange(7), torch.tensor([0.7 * 0.8**7])])
    labels = HittingLabels(time < 8, time, known=time >= 0)
    logit0, logits = torch.zeros(1, requires_grad=True), torch.zeros(1, 8, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit0, logits], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = hazard_nll(logit0.expand(9), logits.expand(9, -1), labels, bins) @ share
        value.backward()
        return value

    optimizer.step(loss)  # pyright: ignore[reportArgumentType]
    assert logit0.sigmoid().item() == pytest.approx(0.3, abs=1e-3)
    torch.testing.assert_close(logits[0, 1:].sigmoid(), torch.full((7,), 0.2), rtol=0, atol=1e-3)
    assert logits[0, 0].sigmoid() < 0.01


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_the_value_is_that_of_a_loop(edges: list[int], tail: bool) -> None:
    bins = TimeBins(edges, CPU)
    ours = random_logits(7, bins.num)
    theirs = [x.detach().double().requires_grad_() for x in ours]
    value = hazard_value(*ours, value_weights(bins, 0.9, tail=tail))
    expected = torch.zeros(7, dtype=torch.float64)
    alive = 1 - theirs[0].sigmoid()
    for k in range(bins.num):
        expected = expected - alive * sum(0.9**t for t in range(edges[k], edges[k + 1]))
        alive = alive * (1 - theirs[1][:, k].sigmoid())
    if tail:
        expected = expected - alive * 0.9**12 / (1 - 0.9)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(torch.autograd.grad(value.sum(), ours), torch.autograd.grad(expected.sum(), theirs), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tau", [0, 1, 5, 11])
def test_what_is_certain_to_take_tau_steps_has_its_closed_form(tau: int) -> None:
    bins = TimeBins(list(range(13)), CPU)
    logits = torch.full((1, 12), -50.0)
    logits[0, tau] = 50
    logit0 = torch.tensor([50.0 if tau == 0 else -50.0])
    value = hazard_value(logit0, logits, value_weights(bins, 0.999, tail=True))
    expected = -(1 - 0.999 ** (tau + 1)) / (1 - 0.999) if tau else 0.0
    assert value.item() == pytest.approx(expected, abs=1e-4)


def test_never_is_worth_the_horizon_or_with_the_tail_all_time() -> None:
    bins, logit0, logits = TimeBins(list(range(13)), CPU), torch.tensor([-50.0]), torch.full((1, 12), -50.0)
    assert hazard_value(logit0, logits, value_weights(bins, 0.9, tail=False)).item() == pytest.approx(
        -(1 - 0.9**12) / 0.1
    )
    assert hazard_value(logit0, logits, value_weights(bins, 0.9, tail=True)).item() == pytest.approx(-10)


def test_no_survival_is_denormal_and_long_sums_keep_their_digits() -> None:
    logits = torch.full((1, 1000), 50.0)
    alive = survival(torch.zeros(1), logits)
    assert alive.min().item() == pytest.approx(torch.tensor(SMALLEST_LOG).exp().item())
    assert alive.min() > torch.finfo(torch.float32).tiny
    logits = torch.linspace(-9, -4, 1000)[None]
    alive = survival(torch.zeros(1), logits)
    exact = (1 - logits.double().sigmoid()).cumprod(1) / 2
    torch.testing.assert_close(alive.double(), exact, rtol=1e-5, atol=0)
