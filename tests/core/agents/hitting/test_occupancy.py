"""Labels and worth of the time near a goal, against a triple loop over rows, bins and steps."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from deepcrl.core.agents.hitting.bins import TimeBins, bin_edges
from deepcrl.core.agents.hitting.occupancy import NESTED_RADII, occupancy_labels, occupancy_weights
from deepcrl.core.types import FutureBatch
from tests.core.agents.pieces import make_batch

HORIZON, RADIUS = 12, 1.0


def walks(size: int = 24, seed: int = 0) -> FutureBatch:
    """Random walks of 0 to 15 steps, of which every third ends in a fall."""
    g = torch.Generator().manual_seed(seed)
    steps_left, rows = torch.randint(0, 16, (size,), generator=g), torch.arange(size)
    ahead = torch.randn(size, HORIZON, 2, generator=g).mul(0.4).cumsum(1)
    last = torch.minimum(torch.arange(HORIZON), steps_left[:, None])
    return FutureBatch(
        **dataclasses.asdict(make_batch(size, seed)),
        steps_left=steps_left,
        fell=rows % 3 == 0,
        next_actions=torch.zeros(size, 0, 3),
        achieved_ahead=ahead[rows[:, None], last],
    )


@pytest.mark.parametrize("num_bins", [4, 12])
def test_labels_are_those_of_a_loop(num_bins: int) -> None:
    edges = bin_edges(HORIZON, num_bins)
    batch, goal = walks(), torch.zeros(24, 2)
    share, num_seen = occupancy_labels(
        batch, goal, radius=RADIUS, bins=TimeBins(edges, torch.device("cpu")), horizon=HORIZON
    )
    for i in range(24):
        for k, (start, end) in enumerate(itertools.pairwise(edges)):
            values = []
            for t in range(start, end):
                if t <= batch.steps_left[i]:
                    distance = float(batch.achieved_ahead[i, t].norm())
                    values.append(sum(distance < r * RADIUS for r in NESTED_RADII) / 3)
                elif batch.fell[i]:
                    values.append(0.0)
            assert num_seen[i, k] == len(values)
            assert share[i, k] == pytest.approx(sum(values) / len(values) if values else 0.0, abs=1e-6)
    assert 0 < share.mean() < 1


def test_only_later_steps_are_worth_something() -> None:
    bins = TimeBins(bin_edges(1000, 32), torch.device("cpu"))
    weights = occupancy_weights(bins, 0.999)
    assert bins.edges[:2].tolist() == [0, 1]
    assert weights[0] == 0
    expected = sum(0.999**t for t in range(1, 1000))
    assert float(weights.double().sum()) == pytest.approx(expected, rel=1e-5)
    assert 28 <= bins.num <= 32
