"""A power law y = a x^b through a handful of points, with bootstrap intervals. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval."""

    middle: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A fitted law and its bootstrap draws; logarithms are natural.

    Args:
        centre: mean of ln x, where `level` is ln y.
        exponents: one per draw, as `levels` and `spreads`.
        spreads: standard deviation of ln y of a further point around the law.
        seed: of the draws that `at` makes.
    """

    exponent: float
    level: float
    centre: float
    exponents: np.ndarray
    levels: np.ndarray
    spreads: np.ndarray
    seed: int

    @property
    def exponent_interval(self) -> Interval:
        return _interval(self.exponent, self.exponents)

    def at(self, x: float) -> Interval:
        """What a further sweep at x would find: the law's value, and the interval of a single new point."""
        away = np.log(x) - self.centre
        noise = np.random.default_rng(self.seed).standard_normal(len(self.exponents))
        draws = self.levels + self.exponents * away + self.spreads * noise
        found = _interval(self.level + self.exponent * away, draws)
        return Interval(*(float(np.exp(value)) for value in (found.middle, found.low, found.high)))


def fit(x: np.ndarray, y: np.ndarray, replicates: np.ndarray, seed: int = 0) -> PowerLaw:
    """Least squares in logarithms; intervals from the replicates and from the scatter around the law.

    The replicates bring the noise of each point. Where the points lie further from the law than that noise
    explains, every draw moves them by the rest: normal, with a spread as uncertain as k - 2 degrees of
    freedom leave it.

    Args:
        x: of k >= 3 points, above 0, at least two of them different.
        y: above 0.
        replicates: draws by k: y as further experiments would have found it, above 0.
        seed: of the draws.
    """
    k = len(x)
    assert k >= 3 and (y > 0).all() and (replicates > 0).all()
    rng = np.random.default_rng(seed)
    log_x, log_y, log_draws = np.log(x), np.log(y), np.log(replicates)
    centre = float(log_x.mean())
    away = log_x - centre
    exponent, level = float(away @ log_y / (away @ away)), float(log_y.mean())
    explained = float(log_draws.var(axis=0).mean())
    seen = float(np.sum((log_y - level - exponent * away) ** 2)) / (k - 2)
    rest = np.sqrt(max(0.0, seen - explained)) * np.sqrt((k - 2) / rng.chisquare(k - 2, len(log_draws)))
    moved = log_draws + rest[:, None] * rng.standard_normal(log_draws.shape)
    return PowerLaw(
        exponent=exponent,
        level=level,
        centre=centre,
        exponents=moved @ away / (away @ away),
        levels=moved.mean(axis=1),
        spreads=np.sqrt(rest**2 + explained),
        seed=seed + 1,
    )


def _interval(middle: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(middle), float(min(low, middle)), float(max(high, middle)))
