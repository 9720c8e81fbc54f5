"""Losses with weights for their rows, against a loop over the rows in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from deepcrl.core.components import LOSSES
from deepcrl.core.losses.weighted import WEIGHTED, check_weighted, weighted


def by_loop(name: str, logits: Tensor, weight: Tensor, coef: float) -> Tensor:
    total, size = torch.zeros((), dtype=logits.dtype), len(logits)
    for i in range(size):
        kept = [j for j in range(size) if name != "dcl" or j != i]
        if name != "backward_infonce":
            total = total + weight[i] * (logits[i, kept].exp().sum().log() - logits[i, i])
        if name in ("backward_infonce", "symmetric_infonce"):
            total = total + weight[i] * (logits[kept, i].exp().sum().log() - logits[i, i])
        total = total + coef * logits[i].exp().sum().log() ** 2
    return total / size


NAMES = ["backward_infonce", "dcl", "infonce", "symmetric_infonce"]


@pytest.mark.parametrize("name", NAMES)
def test_each_pair_counts_by_its_weight_and_the_penalty_fully(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 7, generator=g, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(7, generator=g, dtype=torch.float64)
    weight[2] = 0
    loss = weighted(LOSSES.build({"name": name, "logsumexp_coef": 0.3}))
    assert loss
    ours, expected = loss(logits, weight), by_loop(name, logits, weight, 0.3)
    torch.testing.assert_close(ours, expected)
    gradients = [torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (ours, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_only_some_take_them_and_ones_change_no_bit(name: str) -> None:
    loss: Any = LOSSES.build({"name": name})
    of_rows = weighted(loss)
    assert (of_rows is None) == (name not in NAMES)
    if of_rows is None:
        with pytest.raises(
            ValueError, match=r"agent.chunk=2 weights the rows of the loss, which only these take: loss="
        ):
            check_weighted("agent.chunk=2", loss)
    else:
        logits = torch.randn(9, 9, generator=torch.Generator().manual_seed(1))
        assert torch.equal(of_rows(logits, torch.ones(9)), loss(logits))


def test_a_bare_function_is_found_too() -> None:
    assert all(weighted(loss) for loss in WEIGHTED)


def table_of(logits_of: Tensor, x: Tensor, goal: Tensor, weight: Tensor) -> Tensor:
    """Trains logits [X, G] of `weighted_infonce` on one batch, until nothing moves."""
    loss = weighted(LOSSES.build({"name": "infonce", "logsumexp_coef": 0.0}))
    assert loss
    table = logits_of.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([table], max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(table[x][:, goal], weight)
        value.backward()
        return value

    optimizer.step(closure)
    return table.detach()


def test_with_weights_the_optimum_is_the_occupancy_over_its_mass() -> None:
    """Trajectories of 20 steps see goals 0 and 1 in turn, those of one step see goal 2; then all of them fall."""
    discount, size, long = 0.9, 1500, torch.tensor([0.7, 0.3])
    g = torch.Generator().manual_seed(0)
    x = torch.arange(size) % 2
    steps_left = torch.where(torch.rand(size, generator=g) < long[x], 20, 1)
    mass = 1 - discount**steps_left
    k = torch.ceil(torch.log1p(-torch.rand(size, generator=g) * mass) / torch.tensor(discount).log()).clamp(1)
    goal = torch.where(steps_left == 1, 2, k.long() % 2)
    p = (1 - discount) * discount ** torch.arange(20)  # of the horizons 1 to 20
    occupancy = torch.stack([long * p[1::2].sum(), long * p[::2].sum(), (1 - long) * p[0]], dim=1)
    expected = (occupancy / occupancy.sum(1, keepdim=True)).log() - (goal.bincount() / size).log()

    def spread(weight: Tensor) -> float:
        error = table_of(torch.zeros(2, 3), x, goal, weight) - expected
        return (error.amax(1) - error.amin(1)).max().item()

    assert spread(mass) < 0.25
    assert spread(torch.ones(size)) > 1.5
