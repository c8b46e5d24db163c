"""Statistics of a few seeds: intervals, Welch's test, Holm's correction, effect sizes, statistical power.

Why Welch and not a test paired by seed: under one seed two architectures share batches but no weights. Where
that leaves their scores uncorrelated, a paired test gives away half of its degrees of freedom: at three seeds
it detects 55% of the differences of which Welch's detects 80%. Where it does correlate them, the correlation is
positive, which makes Welch's test conservative (`benchmarks/verdict_power.py` measures both).

`scipy.special` is used instead of `scipy.stats`: the same functions, without a second of import time.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

ALPHA = 0.05
"""Significance level: in each metric, the chance that any two arms which do not differ are called different."""
POWER = 0.8
MAX_SEEDS = 1000
"""Seeds per arm beyond which nobody would try to resolve a difference."""
TEST_NAME = "Welch's t-test on fresh seeds, two-sided at 5%, Holm-corrected over a metric's comparisons"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over seeds with its 95% interval, `mean - half_width` to `mean + half_width`."""

    n: int
    mean: float
    sd: float | None
    """Standard deviation of single runs; None for one run."""
    half_width: float | None
    """From Student's t distribution; None for one run."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean of one arm minus that of another, with its 95% interval and Welch's two-sided p-value."""

    mean: float
    half_width: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float


def estimate(scores: Sequence[float], resolution: float) -> Estimate | None:
    """Return mean, spread and interval of an arm's scores; None without scores.

    Args:
        scores: one per seed.
        resolution: the smallest step of a score, above 0; a standard deviation below it is raised to it.

    Example:
        >>> found = estimate([0.90, 0.91, 0.92], resolution=0.001)
        >>> f"{found.mean:.3f} ± {found.half_width:.3f}, n = {found.n}"
        '0.910 ± 0.025, n = 3'
    """
    n = len(scores)
    if n == 0:
        return None
    mean = math.fsum(scores) / n
    if n == 1:
        return Estimate(n=1, mean=mean, sd=None, half_width=None)
    sd = _compute_spread(scores, resolution)
    half_width = float(_compute_t_quantile(1 - ALPHA / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, half_width=half_width)


def compute_difference(a: Sequence[float], b: Sequence[float], resolution: float) -> Difference | None:
    """Compare two means by Welch's t-test; None when either arm has fewer than two scores.

    Args:
        a: one arm's scores, one per seed.
        b: the other's.
        resolution: as in `estimate`. Scores that agree to the last puzzle have no spread of their own, and a
            test that believed it would be certain of a difference of one puzzle.

    Example:
        >>> found = compute_difference([0.90, 0.91, 0.92], [0.70, 0.71, 0.72], resolution=0.001)
        >>> f"{found.mean:+.3f} ± {found.half_width:.3f}, p = {found.p_value:.6f}"
        '+0.200 ± 0.023, p = 0.000016'
    """
    from scipy import special

    if min(len(a), len(b)) < 2:
        return None
    # Welch (1947): t = difference / sqrt(s_a² / n_a + s_b² / n_b), with Satterthwaite's degrees of freedom.
    part_a, part_b = (_compute_spread(scores, resolution) ** 2 / len(scores) for scores in (a, b))
    error = math.sqrt(part_a + part_b)
    freedom = (part_a + part_b) ** 2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    mean = math.fsum(a) / len(a) - math.fsum(b) / len(b)
    return Difference(
        mean=mean,
        half_width=float(_compute_t_quantile(1 - ALPHA / 2, freedom)) * error,
        p_value=float(2 * special.stdtr(freedom, -abs(mean) / error)),
        standard_error=error,
        degrees_of_freedom=freedom,
    )


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values in the given order; reject where one is below `ALPHA`.

    Example:
        >>> adjust_p_values([0.01, 0.04, 0.02])
        [0.03, 0.04, 0.04]
    """
    # Holm (1979): the smallest of m p-values times m, the next times m - 1, ..., never below the one before.
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def compute_detectable_difference(a: Estimate, b: Estimate, comparisons: int) -> float:
    """Return the true difference that Welch's test would detect with 80% power, given these spreads.

    Accounts for what the test itself has to estimate: both spreads, and from them its degrees of freedom. Only
    the scores are assumed to be normal.

    Args:
        a: one arm, of two runs or more.
        b: the other.
        comparisons: of the metric; Holm's first and hardest step divides `ALPHA` by it.

    Example:
        >>> arm = Estimate(n=5, mean=0.7, sd=0.03, half_width=None)
        >>> f"{compute_detectable_difference(arm, arm, comparisons=2):.3f}"
        '0.073'
    """
    from scipy import optimize, special

    assert a.sd is not None and b.sd is not None
    # Power is the mean over what the two estimated variances may turn out to be (independent chi-squares, each
    # cut into equally likely slices). Given both, Welch's threshold is fixed and the difference of the means is
    # normal around the true one.
    true_a, true_b = a.sd**2 / a.n, b.sd**2 / b.n
    part_a = true_a * _compute_likely_variances(a.n)[:, None]
    part_b = true_b * _compute_likely_variances(b.n)[None, :]
    error = np.sqrt(part_a + part_b)
    freedom = (part_a + part_b) ** 2 / (part_a**2 / (a.n - 1) + part_b**2 / (b.n - 1))
    true_error = math.sqrt(true_a + true_b)
    threshold = _compute_t_quantile(1 - ALPHA / comparisons / 2, freedom) * error / true_error

    def compute_excess_power(shift: float) -> float:
        return float(np.mean(special.ndtr(shift - threshold) + special.ndtr(-shift - threshold))) - POWER

    return float(optimize.brentq(compute_excess_power, 0.0, float(threshold.max()) + 5)) * true_error


def compute_effect_size(a: Estimate, b: Estimate) -> float:
    """Return Hedges' g: the difference of the means in standard deviations of single runs, without bias.

    Args:
        a: one arm, of two runs or more; a positive size is in its favour.
        b: the other.

    Example:
        >>> better, worse = (Estimate(n=3, mean=mean, sd=0.1, half_width=None) for mean in (0.8, 0.7))
        >>> f"{compute_effect_size(better, worse):.2f}"
        '0.80'
    """
    from scipy import special

    assert a.sd is not None and b.sd is not None
    # Hedges (1981): g = J d with J = Γ(ν/2) / (sqrt(ν/2) Γ((ν-1)/2)). The deviation in d is the root of the mean
    # variance, because Welch's test does not assume equal variances either.
    freedom = a.n + b.n - 2
    log_bias = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    bias = math.exp(log_bias) / math.sqrt(freedom / 2)
    return bias * (a.mean - b.mean) / math.sqrt((a.sd**2 + b.sd**2) / 2)


def compute_seeds_needed(a: Estimate, b: Estimate, comparisons: int) -> int | None:
    """Return the seeds per arm at which the observed difference would be detected with 80% power.

    Assumes that the observed difference and spreads are the true ones.

    Args:
        a: one arm, of two runs or more.
        b: the other.
        comparisons: as in `compute_detectable_difference`.

    Returns:
        The number, or None if `MAX_SEEDS` are not enough.

    Example:
        >>> a, b = (Estimate(n=5, mean=mean, sd=0.1, half_width=None) for mean in (0.55, 0.50))
        >>> compute_seeds_needed(a, b, comparisons=1)
        64
    """
    observed = abs(a.mean - b.mean)

    def is_enough(n: int) -> bool:
        return compute_detectable_difference(replace(a, n=n), replace(b, n=n), comparisons) <= observed

    candidates = range(2, MAX_SEEDS + 1)
    index = bisect.bisect_left(candidates, True, key=is_enough)
    return candidates[index] if index < len(candidates) else None


def _compute_t_quantile(probability: float, freedom: Any) -> Any:
    """Return the quantile of Student's t with `freedom` degrees, a number or an array."""
    from scipy import special

    return special.stdtrit(freedom, probability)


def _compute_likely_variances(n: int, slices: int = 60) -> np.ndarray:
    """Return estimated over true variance of `n` normal scores, at the midpoints of equally likely slices."""
    from scipy import special

    return special.chdtri(n - 1, (np.arange(slices) + 0.5) / slices) / (n - 1)


def _compute_spread(scores: Sequence[float], resolution: float) -> float:
    """Return the sample standard deviation, at least `resolution`."""
    assert resolution > 0
    return max(float(np.std(scores, ddof=1)), resolution)
