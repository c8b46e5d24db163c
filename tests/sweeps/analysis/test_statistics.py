"""Intervals, Welch, Holm and detectable differences, held against scipy, simulation and first principles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sweeps.analysis.statistics import (
    ALPHA,
    MAX_SEEDS,
    Estimate,
    adjust_p_values,
    compute_detectable_difference,
    compute_difference,
    compute_effect_size,
    compute_seeds_needed,
    estimate,
)

RESOLUTION = 1e-3
scores = st.lists(st.integers(0, 1000).map(lambda hits: hits / 1000), min_size=2, max_size=8)
p_values = st.lists(st.floats(0, 1), max_size=8)


def spread_out(values: list[float]) -> bool:
    return bool(np.std(values, ddof=1) >= RESOLUTION)


@settings(deadline=None)
@given(scores)
def test_interval_is_students(values: list[float]) -> None:
    found = estimate(values, RESOLUTION)
    assert found is not None and found.half_width is not None
    assert found.mean == pytest.approx(np.mean(values)) and found.n == len(values)
    if spread_out(values):
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert found.mean - found.half_width == pytest.approx(low)
        assert found.mean + found.half_width == pytest.approx(high)


def test_one_run_has_no_interval_and_none_no_estimate() -> None:
    one = estimate([0.5], RESOLUTION)
    assert one is not None and (one.n, one.mean, one.sd, one.half_width) == (1, 0.5, None, None)
    assert estimate([], RESOLUTION) is None


@settings(deadline=None)
@given(scores, scores)
def test_welch_is_scipys(a: list[float], b: list[float]) -> None:
    found = compute_difference(a, b, RESOLUTION)
    assert found is not None
    if spread_out(a) and spread_out(b):
        wanted = stats.ttest_ind(a, b, equal_var=False)
        assert found.p_value == pytest.approx(wanted.pvalue)
        assert found.degrees_of_freedom == pytest.approx(wanted.df)
        low, high = wanted.confidence_interval(0.95)
        assert found.mean - found.half_width == pytest.approx(low)
        assert found.mean + found.half_width == pytest.approx(high)


@settings(deadline=None)
@given(scores, scores)
def test_welch_is_antisymmetric(a: list[float], b: list[float]) -> None:
    forward, backward = compute_difference(a, b, RESOLUTION), compute_difference(b, a, RESOLUTION)
    assert forward is not None and backward is not None
    assert forward.mean == pytest.approx(-backward.mean)
    assert forward.p_value == pytest.approx(backward.p_value)


@settings(deadline=None)
@given(scores)
def test_an_arm_does_not_differ_from_itself(values: list[float]) -> None:
    found = compute_difference(values, values, RESOLUTION)
    assert found is not None and found.mean == 0 and found.p_value == 1


def test_equal_scores_do_not_make_one_puzzle_a_certainty() -> None:
    one_puzzle = compute_difference([0.001] * 3, [0.0] * 3, RESOLUTION)
    assert one_puzzle is not None and one_puzzle.p_value > 0.2
    a_hundred = compute_difference([0.1] * 3, [0.0] * 3, RESOLUTION)
    assert a_hundred is not None and a_hundred.p_value < 1e-6


@pytest.mark.parametrize(("a", "b"), [([0.5], [0.4, 0.6]), ([0.4, 0.6], []), ([], [])])
def test_fewer_than_two_runs_are_no_test(a: list[float], b: list[float]) -> None:
    assert compute_difference(a, b, RESOLUTION) is None


def test_holm_by_hand() -> None:
    assert adjust_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_p_values([0.9, 0.8]) == [1.0, 1.0]
    assert adjust_p_values([]) == []


@settings(deadline=None)
@given(p_values)
def test_holm_lies_between_none_and_bonferroni_and_keeps_the_order(values: list[float]) -> None:
    adjusted = adjust_p_values(values)
    for p, q in zip(values, adjusted):
        assert p <= q <= min(1.0, p * len(values)) + 1e-12
    ranked = [adjusted[i] for i in np.argsort(values, kind="stable")]
    assert ranked == sorted(ranked)


@pytest.mark.parametrize("comparisons", [1, 4])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 4), (6, 6)])
@pytest.mark.parametrize("spreads", [(0.05, 0.05), (0.01, 0.05)])
def test_a_detectable_difference_is_found_four_times_in_five(
    sizes: tuple[int, int], spreads: tuple[float, float], comparisons: int
) -> None:
    """Simulated with the spreads that the function is given; 0.8 within 4 standard errors."""
    rng = np.random.default_rng(7)
    a, b = (Estimate(n=n, mean=0.5, sd=spread, half_width=None) for n, spread in zip(sizes, spreads))
    shift, runs = compute_detectable_difference(a, b, comparisons), 4000
    first = rng.normal(0.5 + shift, spreads[0], (runs, sizes[0]))
    second = rng.normal(0.5, spreads[1], (runs, sizes[1]))
    p_values = stats.ttest_ind(first, second, axis=1, equal_var=False).pvalue
    assert np.mean(p_values < ALPHA / comparisons) == pytest.approx(0.8, abs=4 * (0.8 * 0.2 / runs) ** 0.5)


def test_an_effect_size_has_no_bias_at_few_seeds() -> None:
    """Over many experiments its mean is the true difference in standard deviations; Cohen's d is 30% above."""
    rng = np.random.default_rng(3)
    found = []
    for a, b in rng.normal([[1.5], [0.0]], 1.0, (4000, 2, 3)):
        first, second = estimate(list(a), 1e-9), estimate(list(b), 1e-9)
        assert first is not None and second is not None
        found.append(compute_effect_size(first, second))
    assert np.mean(found) == pytest.approx(1.5, abs=4 * np.std(found) / len(found) ** 0.5)


def arm(mean: float, sd: float, n: int = 5) -> Estimate:
    return Estimate(n=n, mean=mean, sd=sd, half_width=None)


@settings(deadline=None, max_examples=15)
@given(st.floats(0.02, 0.3), st.floats(0.01, 0.05), st.floats(0.01, 0.05), st.integers(1, 4))
def test_seeds_that_settle_are_the_fewest(
    shift: float, spread: float, other: float, comparisons: int
) -> None:
    a, b = arm(0.5 + shift, spread), arm(0.5, other)
    needed = compute_seeds_needed(a, b, comparisons)
    assert needed is not None and needed >= 2

    def found(n: int) -> float:
        return compute_detectable_difference(arm(0.5, spread, n), arm(0.5, other, n), comparisons)

    assert found(needed) <= shift
    assert needed == 2 or found(needed - 1) > shift


def test_seeds_that_settle_agree_with_a_textbook() -> None:
    """Half a standard deviation at 5% and 80% takes 64 in each group (Cohen 1988, table 2.4.1)."""
    assert compute_seeds_needed(arm(0.55, 0.1), arm(0.5, 0.1), comparisons=1) == 64


def test_no_number_of_seeds_settles_no_difference() -> None:
    assert compute_seeds_needed(arm(0.5, 0.1), arm(0.5, 0.1), comparisons=1) is None
    assert compute_seeds_needed(arm(0.5001, 0.1), arm(0.5, 0.1), comparisons=1) is None
    assert MAX_SEEDS == 1000
