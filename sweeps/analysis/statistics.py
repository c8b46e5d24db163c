"""What a handful of seeds can say: intervals, Welch's test, Holm's correction, detectable differences.

Why Welch and not a test paired by seed: under one seed two architectures share batches but no weights. Where
that leaves their scores uncorrelated, a paired test gives away half of its degrees of freedom: at three seeds
it finds 55% of the differences of which Welch's finds 80%. Where it does correlate them, it can only be in
the same sense, which makes Welch's test cautious, never rash (`benchmarks/verdict_power.py` measures both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

ALPHA = 0.05
"""Chance, in each metric, that arms which do not differ are told apart."""
POWER = 0.8
MAX_SEEDS = 1000
"""Beyond so many seeds an arm, a difference is not worth settling."""
TEST_NAME = "Welch's t-test on fresh seeds, two-sided at 5%, Holm-corrected over a metric's comparisons"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over seeds with its 95% interval, `mean - half_width` to `mean + half_width`."""

    n: int
    mean: float
    sd: float | None
    """Of single runs; None for one run."""
    half_width: float | None
    """By Student's t; None for one run."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean of one arm minus that of another, with its 95% interval and Welch's two-sided p-value."""

    mean: float
    half_width: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float


def estimate(scores: Sequence[float], resolution: float) -> Estimate | None:
    """Mean, spread and interval of an arm's scores, one per seed; None without scores.

    Args:
        scores: one per seed.
        resolution: the smallest step of a score, above 0; a spread below it is not credited.
    """
    n = len(scores)
    if n == 0:
        return None
    mean = math.fsum(scores) / n
    if n == 1:
        return Estimate(n=1, mean=mean, sd=None, half_width=None)
    sd = _spread(scores, resolution)
    half_width = float(_t_quantile(1 - ALPHA / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, half_width=half_width)


def compute_difference(a: Sequence[float], b: Sequence[float], resolution: float) -> Difference | None:
    """Mean of `a` minus mean of `b`, without assuming equal spreads; None when either has fewer than two.

    Args:
        a: one arm's scores, one per seed.
        b: the other's.
        resolution: as in `estimate`: scores that agree to the last puzzle have no spread of their own, and
            a test that believed it would take a difference of one puzzle for a certainty.
    """
    from scipy import special

    if min(len(a), len(b)) < 2:
        return None
    part_a, part_b = (_spread(scores, resolution) ** 2 / len(scores) for scores in (a, b))
    error = math.sqrt(part_a + part_b)
    freedom = (part_a + part_b) ** 2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    mean = math.fsum(a) / len(a) - math.fsum(b) / len(b)
    return Difference(
        mean=mean,
        half_width=float(_t_quantile(1 - ALPHA / 2, freedom)) * error,
        p_value=float(2 * special.stdtr(freedom, -abs(mean) / error)),
        standard_error=error,
        degrees_of_freedom=freedom,
    )


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the given order: below `ALPHA` where the pair is told apart."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def detectable(a: Estimate, b: Estimate, comparisons: int) -> float:
    """The true difference that Welch's test would find with a chance of 80%, were these the true spreads.

    Counts with what the test itself has to do: estimate both spreads, and its degrees of freedom from them,
    from as few seeds. Only the seeds' scores are taken to be normal.

    Args:
        a: one arm, of two runs or more.
        b: the other.
        comparisons: of the metric; Holm's first and hardest step divides `ALPHA` by it.
    """
    from scipy import optimize, special

    assert a.sd is not None and b.sd is not None
    true_a, true_b = a.sd**2 / a.n, b.sd**2 / b.n
    part_a = true_a * _equally_likely_variances(a.n)[:, None]
    part_b = true_b * _equally_likely_variances(b.n)[None, :]
    error = np.sqrt(part_a + part_b)
    freedom = (part_a + part_b) ** 2 / (part_a**2 / (a.n - 1) + part_b**2 / (b.n - 1))
    true_error = math.sqrt(true_a + true_b)
    threshold = _t_quantile(1 - ALPHA / comparisons / 2, freedom) * error / true_error

    def missing(shift: float) -> float:
        return float(np.mean(special.ndtr(shift - threshold) + special.ndtr(-shift - threshold))) - POWER

    return float(optimize.brentq(missing, 0.0, float(threshold.max()) + 5)) * true_error


def effect_size(a: Estimate, b: Estimate) -> float:
    """Hedges' g: the difference of the means in standard deviations of single runs, less its small-sample bias.

    The deviation is the root of the arms' mean variance (Welch's test does not take them for equal either);
    the correction is Hedges' (1981) gamma quotient at the pooled degrees of freedom.

    Args:
        a: one arm, of two runs or more; a positive size is in its favour.
        b: the other.
    """
    from scipy import special

    assert a.sd is not None and b.sd is not None
    freedom = a.n + b.n - 2
    log_bias = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    bias = math.exp(log_bias) / math.sqrt(freedom / 2)
    return bias * (a.mean - b.mean) / math.sqrt((a.sd**2 + b.sd**2) / 2)


def seeds_to_settle(a: Estimate, b: Estimate, comparisons: int) -> int | None:
    """Fewest seeds an arm at which the difference seen would be found with a chance of 80%, were it and the
    spreads seen the true ones; None where `MAX_SEEDS` do not suffice.

    Args:
        a: one arm, of two runs or more.
        b: the other.
        comparisons: as in `detectable`.
    """
    seen = abs(a.mean - b.mean)

    def suffice(n: int) -> bool:
        return detectable(replace(a, n=n), replace(b, n=n), comparisons) <= seen

    few, many = 1, 2
    while not suffice(many):
        if many == MAX_SEEDS:
            return None
        few, many = many, min(2 * many, MAX_SEEDS)
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if suffice(middle) else (middle, many)
    return many


def _t_quantile(chance: float, freedom: Any) -> Any:
    """Of Student's t with `freedom` degrees, a number or an array. `scipy.stats` takes a second to import."""
    from scipy import special

    return special.stdtrit(freedom, chance)


def _equally_likely_variances(n: int, slices: int = 60) -> np.ndarray:
    """Estimated over true variance of `n` normal scores, at the midpoints of equally likely slices."""
    from scipy import special

    return special.chdtri(n - 1, (np.arange(slices) + 0.5) / slices) / (n - 1)


def _spread(scores: Sequence[float], resolution: float) -> float:
    """Sample standard deviation, at least `resolution`."""
    assert resolution > 0
    return max(float(np.std(scores, ddof=1)), resolution)
