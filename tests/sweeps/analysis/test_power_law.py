"""Planted power laws are found again, with intervals that hold as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.analysis.scaling import DRAWS, fit_power_law

exponents = st.floats(-2, 2)


def sizes(k: int) -> np.ndarray:
    return 2.5e5 * 2.0 ** np.arange(k)


@settings(deadline=None, max_examples=30)
@given(exponents, st.floats(1e-6, 1e6), st.integers(3, 7))
def test_a_law_without_noise_is_found_exactly(exponent: float, factor: float, k: int) -> None:
    x = sizes(k)
    y = factor * (x / x[0]) ** exponent
    law = fit_power_law(x, y, np.tile(y, (50, 1)))
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    beyond = law.predict(100 * x[-1])
    assert beyond.middle == pytest.approx(factor * (100 * x[-1] / x[0]) ** exponent, rel=1e-6)
    assert beyond.low == pytest.approx(beyond.high, rel=1e-5)


@settings(deadline=None, max_examples=20)
@given(exponents, st.floats(0.01, 100), st.integers(0, 100))
def test_units_do_not_matter(exponent: float, unit: float, seed: int) -> None:
    x = sizes(5)
    y = x**exponent * np.exp(np.random.default_rng(seed).normal(0, 0.1, 5))
    replicates = y * np.exp(np.random.default_rng(seed + 1).normal(0, 0.1, (200, 5)))
    one, other = fit_power_law(x, y, replicates), fit_power_law(unit * x, y, replicates)
    assert other.exponent_interval.low == pytest.approx(one.exponent_interval.low, abs=1e-9)
    assert other.predict(unit * 1e8).high == pytest.approx(one.predict(1e8).high, rel=1e-6)


@pytest.mark.parametrize("scatter", [0.0, 0.1])
@pytest.mark.parametrize("k", [4, 6])
def test_intervals_hold_as_often_as_they_say(k: int, scatter: float) -> None:
    """Sweeps of 5 seeds each around a law, with and without scatter of whole sweeps; 95% less what chance allows."""
    rng = np.random.default_rng(5)
    x, exponent, experiments, seeds = sizes(k), -0.3, 300, 5
    new, held, predicted = 8 * x[-1], 0, 0
    for _ in range(experiments):
        moved = rng.normal(0, scatter, k)
        runs = 0.5 * (x / x[0]) ** exponent * np.exp(moved) * (1 + rng.normal(0, 0.05, (seeds, k)))
        picked = rng.integers(seeds, size=(DRAWS // 10, seeds))
        y = runs.mean(axis=0)
        replicates = y + np.sqrt(seeds / (seeds - 1)) * (runs[picked].mean(axis=1) - y)
        law = fit_power_law(x, y, replicates)
        held += law.exponent_interval.contains(exponent)
        truth = 0.5 * (new / x[0]) ** exponent * np.exp(rng.normal(0, scatter))
        predicted += law.predict(new).contains(truth * (1 + rng.normal(0, 0.05, seeds)).mean())
    assert held / experiments > 0.88
    assert predicted / experiments > 0.88


def test_what_is_no_law_is_uncertain() -> None:
    x = sizes(5)
    y = np.array([1.0, 3.0, 0.5, 4.0, 1.5])
    law = fit_power_law(x, y, np.tile(y, (500, 1)))
    assert law.exponent_interval.low < 0 < law.exponent_interval.high
    assert law.predict(1e8).high > 10 * law.predict(1e8).low
