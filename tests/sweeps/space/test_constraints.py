"""The budget as written, and its inclusive bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.errors import UnknownNameError
from sweeps.config import BudgetConfig
from sweeps.errors import BudgetError
from sweeps.quantities import (
    BYTES,
    FLOPS,
    PARAMETERS,
    SECONDS,
    TRAINING_FLOPS,
    Unit,
    parse_count,
    parse_quantity,
)
from sweeps.space.budget import Budget, resolve_budget
from sweeps.space.constraints import COUNTED, Costs
from tests.sweeps.small_sweep import candidates, list_all, space

TINY_DEMO = 527_490


COSTS = {
    "params": TINY_DEMO,
    "flops_per_step": 5_155_291_136,
    "memory": 40_000_001,
    "inference_flops": 150_000_000,
}


def preset_costs(name: str) -> Costs:
    if name != "tiny_demo":
        raise UnknownNameError.among("preset", name, ["tiny_demo"])
    return COSTS


@pytest.mark.parametrize(
    ("given_value", "count"),
    [
        (527490, 527490),
        ("527490", 527490),
        ("527_490", 527490),
        (5e5, 500_000),
        ("0.5M", 500_000),
        ("0.5m", 500_000),
        ("500k", 500_000),
        ("1.2G", 1_200_000_000),
        ("1.2B", 1_200_000_000),
        ("2.5e5", 250_000),
        (" 1 M ", 1_000_000),
        (".5M", 500_000),
        ("0.000001M", 1),
    ],
)
def test_counts_are_read_exactly(given_value: Any, count: int) -> None:
    assert parse_count(given_value, PARAMETERS, "budget") == count


@given(st.integers(1, 10**15), st.sampled_from([("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9)]))
def test_any_whole_count_survives_its_unit(count: int, unit: tuple[str, int]) -> None:
    letter, factor = unit
    assert parse_count(f"{Decimal(count) / factor:f}{letter}", PARAMETERS, "budget") == count


@pytest.mark.parametrize(
    "wrong", ["", "M", "0.5X", "12 apples", "1e", "nan", "inf", "0.3333k", 1.5, True, None, [1]]
)
def test_what_is_no_count_is_refused(wrong: Any) -> None:
    with pytest.raises(
        BudgetError, match=r"must be a whole number of parameters such as 527490, 500k, 0\.5M or 1\.2G"
    ):
        parse_count(wrong, PARAMETERS, "budget")


@pytest.mark.parametrize("wrong", [0, -1, "-0.5M", "0", "0.0M"])
def test_a_count_is_above_zero(wrong: Any) -> None:
    with pytest.raises(BudgetError, match="must be above 0"):
        parse_count(wrong, PARAMETERS, "budget")


def test_a_count_has_an_end() -> None:
    with pytest.raises(BudgetError, match="must be at most 1,000,000,000,000,000,000,000,000,000"):
        parse_count("1e30", PARAMETERS, "budget")


def test_a_presets_name_stands_for_its_size() -> None:
    budget = resolve_budget(BudgetConfig(max_params="tiny_demo", min_params=0.8), preset_costs)
    assert budget == Budget.of(max_params=TINY_DEMO, min_params=421_992)
    assert resolve_budget(BudgetConfig(min_params="tiny_demo"), preset_costs) == Budget.of(
        min_params=TINY_DEMO
    )
    assert resolve_budget(BudgetConfig(), preset_costs) == Budget()


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny_demo'"):
        resolve_budget(BudgetConfig(max_params="tiny_dem"), preset_costs)


@given(st.integers(1, 10**12), st.decimals("0.001", "0.999", places=3))
def test_a_share_is_rounded_up(most: int, share: Decimal) -> None:
    least = resolve_budget(BudgetConfig(max_params=most, min_params=float(share)), preset_costs).min_params
    assert least is not None
    assert least >= share * most > least - 1
    assert (
        resolve_budget(BudgetConfig(max_params=most, min_params=str(share)), preset_costs).min_params == least
    )


def test_bounds_that_cross_are_refused() -> None:
    with pytest.raises(
        BudgetError, match=r"budget\.min_params: given '0\.6M'; 600,000 is above budget\.max_params=500,000"
    ):
        resolve_budget(BudgetConfig(max_params="0.5M", min_params="0.6M"), preset_costs)
    assert resolve_budget(BudgetConfig(max_params=7, min_params=7), preset_costs) == Budget.of(
        max_params=7, min_params=7
    )


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(BudgetError, match=r"is a share of budget\.max_params, which is not set"):
        resolve_budget(BudgetConfig(min_params=0.8), preset_costs)


@given(st.sampled_from(COUNTED), st.integers(2, 10**9), st.integers(1, 10**9), st.sampled_from([-1, 0, 1]))
def test_bounds_are_inclusive(name: str, most: int, below: int, step: int) -> None:
    least = max(1, most - below)
    budget = Budget.of(**{f"max_{name}": most, f"min_{name}": least})
    for cost in (most + step, least + step):
        assert (budget.describe_violations(COSTS | {name: cost}) is None) == (least <= cost <= most)


def test_every_broken_bound_is_told() -> None:
    budget = Budget.of(max_params=10, min_memory=10**9, max_inference_flops=10**9)
    assert budget.describe_violations(COSTS) == (
        "exceeds budget.max_params=10; is below budget.min_memory=1,000,000,000"
    )


@pytest.mark.parametrize(
    ("given_value", "unit", "count"),
    [
        ("64M", BYTES, 64_000_000),
        ("64MB", BYTES, 64_000_000),
        ("64MiB", BYTES, 2**26),
        ("2GiB", BYTES, 2**31),
        ("0.5Gi", BYTES, 2**29),
        ("512 B", BYTES, 512),
        ("5.2G", FLOPS, 5_200_000_000),
        ("1.5T", FLOPS, 1_500_000_000_000),
        (1e15, TRAINING_FLOPS, 10**15),
        ("2.5P", TRAINING_FLOPS, 2_500_000_000_000_000),
        ("1e20", TRAINING_FLOPS, 10**20),
    ],
)
def test_each_unit_has_its_multiples(given_value: Any, unit: Unit, count: int) -> None:
    assert parse_count(given_value, unit, "budget") == count


@pytest.mark.parametrize(
    ("written", "seconds"), [(0.02, 0.02), ("20ms", 0.02), ("500 us", 5e-4), ("1.5s", 1.5)]
)
def test_seconds_need_not_be_whole(written: Any, seconds: float) -> None:
    assert float(parse_quantity(written, SECONDS, "budget")) == seconds


@pytest.mark.parametrize(("wrong", "unit"), [("64MiB", PARAMETERS), ("2GiB", FLOPS), ("1B", FLOPS)])
def test_a_multiple_of_another_unit_is_refused(wrong: str, unit: Unit) -> None:
    with pytest.raises(BudgetError, match=f"must be a whole number of {unit.noun} such as"):
        parse_count(wrong, unit, "budget")


@pytest.mark.parametrize("name", COUNTED)
def test_each_counted_constraint_takes_a_preset_and_a_share_of_it(name: str) -> None:
    upper, lower = f"max_{name}", f"min_{name}"
    budget = resolve_budget(BudgetConfig(**{upper: "tiny_demo", lower: 0.5}), preset_costs)
    cost = COSTS[name]
    assert budget == Budget.of(**{upper: cost, lower: -(-cost // 2)})
    with pytest.raises(
        BudgetError, match=rf"budget\.{lower}: .* is a share of budget\.{upper}, which is not"
    ):
        resolve_budget(BudgetConfig(**{lower: 0.5}), preset_costs)
    with pytest.raises(UnknownNameError, match=rf"budget\.{upper}: .*or a number\. Did you mean 'tiny_demo'"):
        resolve_budget(BudgetConfig(**{upper: "tiny_dem"}), preset_costs)


def test_used_share_and_iso_parameter() -> None:
    budget = Budget.of(max_params=1000)
    assert budget.used_share(950) == 0.95
    assert [budget.is_iso_parameter(size) for size in (950, 951, 1000, 1001)] == [False, True, True, False]
    assert Budget().used_share(5) is None and not Budget().is_iso_parameter(5)


@pytest.mark.parametrize(("offset", "fits"), [(-1, False), (0, True), (1, True)])
def test_the_upper_bound_at_a_models_exact_size(offset: int, fits: bool) -> None:
    asked = space({"lr": [1e-3]}, fixed=TINY_SHAPE)
    if fits:
        found = list_all(candidates(asked, max_params=TINY_DEMO + offset))
        assert found is not None and [one.num_params for one in found] == [TINY_DEMO]
        return
    with pytest.raises(BudgetError) as refused:
        candidates(asked, max_params=TINY_DEMO + offset)
    message = "given 527489; no model of space asked has fewer than 527,490 parameters"
    assert message in str(refused.value)


@pytest.mark.parametrize(("offset", "fits"), [(-1, True), (0, True), (1, False)])
def test_the_lower_bound_at_a_models_exact_size(offset: int, fits: bool) -> None:
    asked = space({"lr": [1e-3]}, fixed=TINY_SHAPE)
    if fits:
        assert candidates(asked, min_params=TINY_DEMO + offset).num_feasible_trials == 1
        return
    with pytest.raises(BudgetError, match=r"no model of space asked has more than 527,490 parameters"):
        candidates(asked, min_params=TINY_DEMO + offset)


TINY_SHAPE = {"hidden_size": 128, "num_heads": 4, "H_layers": 1, "L_layers": 1, "H_cycles": 1, "L_cycles": 1}
