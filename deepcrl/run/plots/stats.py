"""Statistics over seeds: interquartile mean with stratified bootstrap intervals (Agarwal et al. 2021, rliable).

rliable itself would bring nine more packages; these few lines are tested against a plain loop and against scipy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
FINAL_EVALUATIONS = 5
"""Whose mean is a run's final score: the paper's numbers are those of the last 5 of its 100 epochs (section 4.1)."""
GRID_POINTS = 60
POINTS = 80
"""Of a curve, at most."""


def iqm(scores: np.ndarray) -> np.ndarray:
    """Returns the mean of the middle half of `scores` along the last axis: [..., R] -> [...].

    A quarter of the values, rounded down, is cut off at each end; with fewer than four it is the mean.
    """
    num, cut = scores.shape[-1], scores.shape[-1] // 4
    middle = np.sort(scores, axis=-1)[..., cut : num - cut] if cut else scores
    return np.einsum("...r->...", middle) / (num - 2 * cut)  # many times as fast as a mean over few values


@dataclass(frozen=True, slots=True)
class Estimate:
    """An interquartile mean with the ends of its interval. One run has no interval: its ends are NaN."""

    value: float
    low: float
    high: float


def estimate(strata: Sequence[np.ndarray], seed: int = 0) -> Estimate:
    """Returns the IQM of all runs together, and its interval when runs are redrawn within each stratum (task).

    strata: one array [R_k] of scores per task; a task may have any number of runs, at least one.
    """
    value = float(iqm(np.concatenate(strata)))
    if max(len(stratum) for stratum in strata) < 2:
        return Estimate(value, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    redrawn = [stratum[rng.integers(len(stratum), size=(NUM_RESAMPLES, len(stratum)))] for stratum in strata]
    low, high = _interval(iqm(np.concatenate(redrawn, axis=1)))
    return Estimate(value, float(low), float(high))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better runs A are than runs B."""

    value: float
    """IQM of A minus that of B."""
    low: float
    high: float
    probability: float
    """That a run of A, drawn at random, is better than one of B; equal ones count half (Agarwal et al. 2021)."""

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return self.low > 0 or self.high < 0


def difference(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Difference:
    """Compares the scores [R_a] and [R_b] of two configurations, each redrawn by itself for the interval."""
    better = (np.sign(a[:, None] - b) + 1) / 2
    value = float(iqm(a) - iqm(b))
    if min(len(a), len(b)) < 2:
        return Difference(value, np.nan, np.nan, float(better.mean()))
    rng = np.random.default_rng(seed)
    of_a, of_b = (iqm(runs[rng.integers(len(runs), size=(NUM_RESAMPLES, len(runs)))]) for runs in (a, b))
    low, high = _interval(of_a - of_b)
    return Difference(value, float(low), float(high), float(better.mean()))


def _interval(statistics: np.ndarray) -> np.ndarray:
    """Returns the percentile interval along the first axis: [NUM_RESAMPLES, ...] -> [2, ...]."""
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(statistics, [tail, 1 - tail], axis=0)


@dataclass(frozen=True, slots=True)
class Band:
    """A learning curve over seeds: position x [P], IQM [P], interval low and high [P] (NaN for one seed)."""

    x: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def band(curves: Sequence[tuple[np.ndarray, np.ndarray]], seed: int = 0) -> Band:
    """Returns the IQM of curves (x [P_r], y [P_r]) with a pointwise interval over runs.

    It covers the x that all runs have reached; between their points the curves are straight. Where all runs have the
    same points, these are kept.
    """
    start, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    own = curves[0][0]
    shared = all(np.array_equal(x[x <= end], own[own <= end]) for x, _ in curves)
    grid = own[own <= end] if shared and len(own) <= GRID_POINTS else np.linspace(start, max(start, end), GRID_POINTS)
    values = np.stack([np.interp(grid, x, y) for x, y in curves], axis=-1)  # [P, R]
    center = iqm(values)
    if len(curves) < 2:
        return Band(grid, center, np.full_like(center, np.nan), np.full_like(center, np.nan))
    draws = np.random.default_rng(seed).integers(len(curves), size=(NUM_RESAMPLES, len(curves)))
    low, high = _interval(iqm(values[:, draws].swapaxes(0, 1)))
    return Band(grid, center, low, high)


def thinned(column: np.ndarray) -> np.ndarray:
    """Averages neighbours where a curve has more points than are shown: a column [R] becomes [POINTS] at most."""
    if len(column) <= POINTS:
        return column
    return np.array([part.mean() for part in np.array_split(column, POINTS)])


def final_evaluations(grad_steps: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Returns the evaluations [E] that make the final score: the last five, without those before any training."""
    trained = value[grad_steps > 0]
    return (trained if len(trained) else value)[-FINAL_EVALUATIONS:]


def final_score(grad_steps: np.ndarray, value: np.ndarray) -> float:
    """Returns the mean of a run's last five evaluations, of `value` [E] each, taken after `grad_steps` [E]."""
    return float(final_evaluations(grad_steps, value).mean())


def first_reaching(x: np.ndarray, value: np.ndarray, threshold: float) -> float | None:
    """Returns the x of the first evaluation with at least `threshold`, None if there is none. x, value: [E]."""
    reached = np.flatnonzero(value >= threshold)
    return float(x[reached[0]]) if len(reached) else None
