"""Searched parameters as a space's YAML writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeps.space.parameters import parse_parameter


@pytest.mark.parametrize(
    ("written", "distribution", "grid"),
    [
        ({"int": [1, 8]}, IntDistribution(1, 8), [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"int": [1, 64], "step": 21}, IntDistribution(1, 64, step=21), [1, 22, 43, 64]),
        ({"int": [1, 10], "step": 4}, IntDistribution(1, 9, step=4), [1, 5, 9]),
        ({"int": [2, 4], "log": True}, IntDistribution(2, 4, log=True), [2, 3, 4]),
        ({"int": [3, 3]}, IntDistribution(3, 3), [3]),
        ({"float": [0, 0.5]}, FloatDistribution(0, 0.5), None),
        (
            {"float": [0, 1], "num": 5},
            FloatDistribution(0, 1),
            [0, 0.25, 0.5, 0.75, 1],
        ),
        ({"log": [1e-4, 1e-2]}, FloatDistribution(1e-4, 1e-2, log=True), None),
        ({"log": [1e-4, 1e-2], "num": 3}, FloatDistribution(1e-4, 1e-2, log=True), [1e-4, 1e-3, 1e-2]),
        ({"float": [2, 2]}, CategoricalDistribution([2.0]), [2.0]),
        ([1, 2.5, 4], CategoricalDistribution([1, 2.5, 4]), [1, 2.5, 4]),
        ([2, 4, 6], IntDistribution(2, 6), [2, 4, 6]),
        ([128, 32, 64], IntDistribution(32, 128, log=True), [128, 32, 64]),
        ([0, 1, 10], IntDistribution(0, 10), [0, 1, 10]),
        ([0.1, 0.2, 0.3], FloatDistribution(0.1, 0.3), [0.1, 0.2, 0.3]),
        ([32, 64], CategoricalDistribution([32, 64]), [32, 64]),
        ({"choices": ["rope", "learned"]}, CategoricalDistribution(["rope", "learned"]), ["rope", "learned"]),
        ([None, 0, True], CategoricalDistribution([None, 0, True]), [None, 0, True]),
    ],
)
def test_kinds(written: Any, distribution: Any, grid: list[Any] | None) -> None:
    parameter = parse_parameter(written)
    assert parameter.distribution == distribution
    assert (None if parameter.grid is None else list(parameter.grid)) == grid


@pytest.mark.parametrize(
    ("written", "proposed", "value"),
    [
        ({"log": [1e-4, 1e-2], "num": 3}, 3.1e-4, 1e-4),
        ({"log": [1e-4, 1e-2], "num": 3}, 3.2e-4, 1e-3),
        ({"float": [0, 1], "num": 5}, 0.4, 0.5),
        ([1, 2, 8], 3, 2),
        ([1, 2, 8], 5, 8),
        ([True, 0, "x"], 0, 0),
        ({"int": [1, 9], "step": 4}, 5, 5),
        ({"float": [0, 1]}, 0.123, 0.123),
    ],
)
def test_a_proposal_is_brought_to_the_grid_on_the_scale_that_the_sampler_sees(
    written: Any, proposed: Any, value: Any
) -> None:
    found = parse_parameter(written).to_grid(proposed)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (5, "must be a list of choices, or a mapping with one of: int, float, log, choices"),
        ({"ints": [1, 2]}, "must be a list of choices"),
        ({"float": [1, 2], "log": [1, 2]}, "must be a list of choices"),
        ({"int": [1, 2], "num": 2}, "'int' takes step, log; 'num' is none of them"),
        ({"log": [1, 2], "step": 1}, "'log' takes num; 'step' is none of them"),
        ({"choices": [1], "log": True}, "must be a list of choices"),
        ({"choices": [1], "num": 2}, "'choices' takes no options"),
        ([], "choices must be a list of at least one value"),
        ({"choices": 3}, "choices must be a list of at least one value"),
        ([1, 1], "choices must differ"),
        ([1, [2]], r"a choice must be a number, a string, true, false or null; \[2\] is not"),
        ([float("nan")], "a choice must be a number"),
        ({"int": [8, 1]}, "low=8 must not be above high=1"),
        ({"log": [1e-2, 1e-4]}, "low=0.01 must not be above high=0.0001"),
        ({"int": [1]}, r"'int' takes its two ends: \[low, high\]"),
        ({"int": []}, "'int' takes its two ends"),
        ({"float": [0, float("inf")]}, "'float' takes its two ends"),
        ({"int": [1, "8"]}, "'int' takes its two ends"),
        ({"int": [1, 8.5]}, "the ends of 'int' must be whole numbers"),
        ({"int": [1, 8], "step": 0}, "step must be a whole number of at least 1"),
        ({"int": [1, 8], "step": 1.5}, "step must be a whole number of at least 1"),
        ({"int": [0, 8], "log": True}, "a log range must lie above 0"),
        ({"int": [1, 8], "log": True, "step": 2}, "a log range takes no step"),
        ({"int": [1, 8], "log": "yes"}, "log must be true or false"),
        ({"log": [0, 1]}, "a log range must lie above 0"),
        ({"log": [-1, 1], "num": 3}, "a log range must lie above 0"),
        ({"log": [1e-4, 1e-2], "num": 1}, "num must be a whole number of at least 2"),
        ({"log": [1e-4, 1e-2], "num": 2.5}, "num must be a whole number of at least 2"),
    ],
)
def test_refusals(written: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_parameter(written)


def test_a_log_grid_has_readable_values_and_exact_ends() -> None:
    parameter = parse_parameter({"log": [3e-4, 1e-2], "num": 5})
    assert parameter.grid == (3e-4, 0.000720843, 0.00173205, 0.00416179, 1e-2)


def test_a_huge_range_costs_nothing_until_it_is_looked_at() -> None:
    parameter = parse_parameter({"int": [1, 10**12], "step": 7})
    assert parameter.is_numeric and parameter.extremes()[0] == 1
    assert parameter.grid is not None and parameter.grid[2] == 15


@pytest.mark.parametrize("written", [{"log": [1e-4, 1e-2]}, {"float": [-1, 3]}])
def test_draws_fill_a_continuous_range_in_its_own_scale(written: Any) -> None:
    parameter = parse_parameter(written)
    rng = np.random.default_rng(0)
    drawn = np.array([parameter.draw(rng) for _ in range(4000)])
    low, high = parameter.extremes()
    assert low <= drawn.min() and drawn.max() <= high
    middle = np.sqrt(low * high) if "log" in written else (low + high) / 2
    assert abs((drawn < middle).mean() - 0.5) < 0.04


def test_draws_take_every_grid_value_alike() -> None:
    parameter = parse_parameter(["rope", "learned", None])
    rng = np.random.default_rng(0)
    drawn = [parameter.draw(rng) for _ in range(3000)]
    assert all(abs(drawn.count(value) - 1000) < 100 for value in ("rope", "learned", None))
