"""Steps at equal training compute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.models.registry import get_family
from sweeps.errors import SpaceError
from sweeps.space.budget import FlopsBudget
from tests.sweeps.small_sweep import candidates, list_all, space

SHAPES = space(
    {"H_cycles": [1, 2, 4], "L_layers": [1, 2], "batch_size": [16, 32]},
    fixed={"hidden_size": 128, "num_heads": 4, "H_layers": 1, "L_cycles": 1},
)


@given(st.integers(1, 10**6), st.integers(1, 10**15), st.integers(1, 10**15))
def test_the_largest_whole_number_of_steps_that_fits(steps: int, reference: int, own: int) -> None:
    compute = FlopsBudget(steps, 1, reference * steps)
    made = compute.count_steps(own)
    assert made * own <= reference * steps < (made + 1) * own


@given(st.integers(1, 50), st.integers(1, 10**6), st.integers(1, 10**5))
def test_a_step_for_each_report(num_reports: int, allowance: int, own: int) -> None:
    compute = FlopsBudget(100, num_reports, allowance)
    assert (compute.describe_violation(own) is None) == (compute.count_steps(own) >= num_reports)


def test_equal_steps_are_the_same_for_all() -> None:
    compute = FlopsBudget(600, 10, None)
    assert compute.count_steps(1) == compute.count_steps(10**18) == 600
    assert compute.describe_violation(10**18) is None and compute.max_flops_per_step is None


def test_every_trial_spends_the_reference_presets_flops() -> None:
    found = candidates(SHAPES)
    reference = found.preset("tiny_demo")
    allowance = 600 * reference.flops_per_step
    assert reference.run.train.steps == 600 and found.flops_budget.flops == allowance
    everything = list_all(found)
    assert len(everything) == 12
    for one in everything:
        train = one.run.train
        counts = get_family("puzzle").count(one.run.model, train.batch_size, train)
        assert one.flops_per_step == counts.flops_per_step
        assert train.steps * one.flops_per_step <= allowance < (train.steps + 1) * one.flops_per_step


def test_equal_steps_reach_every_trial() -> None:
    everything = list_all(candidates(SHAPES, train={"equal": "steps", "steps": 40}))
    assert {one.run.train.steps for one in everything} == {40}


def test_a_step_too_many_leaves_a_shape_out() -> None:
    costliest = max(list_all(candidates(SHAPES)), key=lambda one: one.flops_per_step)
    steps = costliest.run.train.steps
    at_n = candidates(SHAPES, train={"num_reports": steps})
    beyond = candidates(SHAPES, train={"num_reports": steps + 1})
    assert at_n.num_feasible_trials == 12 and at_n.candidate(costliest.params) is not None
    assert beyond.num_feasible_trials == 11 and beyond.candidate(costliest.params) is None
    assert beyond.num_architectures == 6


def test_compute_that_nothing_fits_is_refused() -> None:
    dear = space({"H_cycles": [16]}, fixed={"hidden_size": 256, "num_heads": 4, "L_cycles": 8})
    with pytest.raises(SpaceError) as refused:
        candidates(dear, train={"steps": 10})
    message = str(refused.value)
    assert "has only 0 steps at equal compute, below train.num_reports=10" in message
    assert "Raise train.steps, lower train.num_reports, or compare at train.equal=steps." in message


def test_a_preset_out_of_compute_says_so_with_its_size() -> None:
    found = candidates(SHAPES, train={"steps": 20})
    place = found.fit_preset("base_default")
    assert place.num_params == 27_275_778 and place.steps == 0
    assert place.violation == "has only 0 steps at equal compute, below train.num_reports=10"
