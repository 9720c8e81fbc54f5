"""Time bins: their edges, in which one a step is, and what each weighs."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from deepcrl.core.agents.hitting.bins import TimeBins, bin_edges

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_bins", [10, 11, 1000])
def test_enough_bins_hold_a_step_each(num_bins: int) -> None:
    assert bin_edges(10, num_bins) == list(range(11))


def test_fewer_bins_grow_geometrically() -> None:
    assert bin_edges(1000, 3) == [0, 1, 10, 100, 1000]
    edges = bin_edges(1000, 32)
    assert edges == sorted({0, *(round(1000 ** (i / 32)) for i in range(33))})
    assert len(edges) == 31  # the first ones fall together
    assert bin_edges(10, 1) == [0, 1, 10]


@pytest.mark.parametrize("edges", [list(range(8)), [0, 1, 3, 7]])
def test_tables_are_those_of_a_loop(edges: list[int]) -> None:
    bins = TimeBins(edges, CPU)
    assert bins.num == len(edges) - 1
    for step in range(7):
        assert [k for k in range(bins.num) if edges[k] <= step < edges[k + 1]] == [bins.of_step[step]]
    assert bins.of_step[7] == bins.num - 1
    for step in range(8):
        assert bins.num_before[step] == sum(edges[k + 1] <= step for k in range(bins.num))
    expected = [sum(0.9**t for t in range(a, b)) for a, b in pairwise(edges)]
    torch.testing.assert_close(bins.discounted_steps(0.9), torch.tensor(expected).double())


@pytest.mark.parametrize(
    ("horizon", "num_bins", "message"),
    [
        (0, 10, r"^agent.horizon must be at least 1, got 0$"),
        (10**9, 10, r"^agent.horizon must be at most 100000, got 1000000000$"),
        (10, 0, r"^agent.num_bins must be at least 1, got 0$"),
    ],
)
def test_refuses(horizon: int, num_bins: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bin_edges(horizon, num_bins)
