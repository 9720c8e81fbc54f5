from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from deepcrl.run.plots import stats


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5, 7, 8, 21])
def test_iqm_is_the_trimmed_mean(num: int) -> None:
    scores = np.random.default_rng(num).normal(size=(6, num))
    assert stats.iqm(scores) == pytest.approx(scipy_stats.trim_mean(scores, 0.25, axis=1))


def test_iqm_by_hand() -> None:
    assert stats.iqm(np.array([100.0, 1, 2, -50])) == 1.5
    assert stats.iqm(np.array([1.0, 2, 6])) == 3


def brute_force(strata: list[np.ndarray]) -> np.ndarray:
    """The IQM of every equally likely way to redraw the runs within each stratum."""
    redraws = [itertools.product(stratum, repeat=len(stratum)) for stratum in strata]
    return np.array([scipy_stats.trim_mean(sum(draw, ()), 0.25) for draw in itertools.product(*redraws)])


@pytest.mark.parametrize("strata", [[[1.0, 4, 9, 20]], [[1.0, 4, 9], [100.0, 130]]])
def test_interval_agrees_with_all_resamples_there_are(strata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "NUM_RESAMPLES", 40_000)
    strata = [np.array(stratum) for stratum in strata]
    every = brute_force(strata)
    found = stats.estimate(strata)
    assert found.value == pytest.approx(float(scipy_stats.trim_mean(np.concatenate(strata), 0.25)))
    # the exact bootstrap distribution is discrete: the drawn quantile lies between its neighbouring quantiles
    for end, tail in ((found.low, 0.025), (found.high, 0.975)):
        low, high = np.quantile(every, [tail - 0.004, tail + 0.004], method="closest_observation")
        assert low - 1e-9 <= end <= high + 1e-9


def test_runs_are_redrawn_within_their_task_only() -> None:
    """Two tasks of very different scale, all runs alike: whatever is drawn within a task, nothing changes."""
    found = stats.estimate([np.array([1.0, 1, 1]), np.array([900.0, 900, 900])])
    assert found.low == found.value == found.high


def test_intervals_cover_the_mean_about_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "NUM_RESAMPLES", 300)
    rng = np.random.default_rng(0)
    intervals = [stats.estimate([rng.normal(size=20)], seed=i) for i in range(300)]
    covered = np.mean([i.low <= 0 <= i.high for i in intervals])
    assert 0.86 < covered < 0.98  # a percentile interval of 20 runs is a little too narrow


def test_one_run_has_no_interval() -> None:
    found = stats.estimate([np.array([3.0])])
    assert found.value == 3
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(stats.band([(np.array([0.0, 1]), np.array([2.0, 4]))]).low).all()


def test_the_same_seed_gives_the_same_interval() -> None:
    scores = [np.random.default_rng(0).normal(size=9)]
    assert stats.estimate(scores, seed=3) == stats.estimate(scores, seed=3)
    assert stats.estimate(scores, seed=3) != stats.estimate(scores, seed=4)


def test_band_at_each_point_is_the_estimate_there() -> None:
    rng = np.random.default_rng(1)
    x, ys = np.arange(5.0), rng.normal(size=(6, 5))
    band = stats.band([(x, y) for y in ys])
    assert band.x.tolist() == x.tolist(), "shared points are kept"
    for i in range(5):
        at = stats.estimate([ys[:, i]])
        assert (band.value[i], band.low[i], band.high[i]) == pytest.approx((at.value, at.low, at.high))


def test_band_covers_what_all_runs_have_reached_on_straight_lines() -> None:
    short = (np.array([0.0, 10, 20]), np.array([0.0, 10, 20]))
    long = (np.array([0.0, 15, 40]), np.array([0.0, 15, 40]))
    band = stats.band([short, long])
    assert (band.x[0], band.x[-1], len(band.x)) == (0, 20, stats.GRID_POINTS)
    assert band.value == pytest.approx(band.x)
    stopped_early = (x := np.array([0.0, 10, 20, 30]), x), (x[:3], x[:3])
    assert stats.band(stopped_early).x.tolist() == [0, 10, 20]


def test_final_score_is_the_mean_of_the_last_five_evaluations_after_training_began() -> None:
    steps = np.arange(0, 101) * 1e4
    assert stats.final_score(steps, np.arange(101.0)) == np.mean([96, 97, 98, 99, 100])
    assert stats.final_score(np.array([0.0, 100, 200]), np.array([1.0, 7, 9])) == 8
    assert stats.final_score(np.array([0.0]), np.array([2.0])) == 2


def test_difference_equals_a_plain_loop() -> None:
    a, b = np.array([5.0, 1, 4, 9, 2]), np.array([3.0, 1, 0, 2, 8, 1])
    found = stats.difference(a, b)
    assert found.value == pytest.approx(stats.iqm(a) - stats.iqm(b))
    wins = [1.0 if x > y else 0.5 if x == y else 0.0 for x in a for y in b]
    assert found.probability == pytest.approx(sum(wins) / 30)
    rng = np.random.default_rng(1)
    redrawn = [stats.iqm(rng.choice(a, 5)) - stats.iqm(rng.choice(b, 6)) for _ in range(4000)]
    assert [found.low, found.high] == pytest.approx(np.quantile(redrawn, [0.025, 0.975]), abs=0.5)
    assert not found.is_clear
    assert stats.difference(a + 10, b).is_clear
    assert stats.difference(b, a + 10).is_clear
    assert not stats.difference(a[:1], b).is_clear
    assert np.isnan(stats.difference(a[:1], b).low)


def test_first_reaching() -> None:
    steps, score = np.array([0.0, 10, 20, 30]), np.array([0.0, 50, 40, 80])
    assert stats.first_reaching(steps, score, 45) == 10
    assert stats.first_reaching(steps, score, 60) == 30
    assert stats.first_reaching(steps, score, 81) is None


def test_thinned_keeps_short_curves_and_averages_long_ones() -> None:
    short = np.arange(80.0)
    assert stats.thinned(short) is short
    steps, values = stats.thinned(np.arange(800.0)), stats.thinned(np.arange(800.0) ** 2)
    assert len(values) == 80
    assert steps[0] == 4.5
    assert values[0] == np.mean(np.arange(10.0) ** 2)
