from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.errors import UnknownNameError
from hrm.config.presets import list_presets
from sweeps.config import BaselineConfig, BudgetConfig, SweepTrainConfig
from sweeps.scheduler.phases.baseline import BaselinePhase, choose_presets, spread_rates
from sweeps.space.candidates import Candidates
from tests.sweeps.search_cases import MODEL_FIELDS, candidates_of, sweep_config

GRID = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]


@pytest.mark.parametrize(
    ("num", "rates"),
    [
        (1, [1e-3]),
        (2, [1e-4, 1e-3]),
        (3, [1e-4, 1e-3, 1e-2]),
        (4, [1e-4, 3e-4, 1e-3, 1e-2]),
        (5, GRID),
    ],
)
def test_few_trials_still_span_the_grid_around_its_middle(num: int, rates: list[float]) -> None:
    chosen = spread_rates(GRID, num)
    assert sorted(rate for rate, _ in chosen) == rates
    assert {round_index for _, round_index in chosen} == {0}


def test_more_trials_than_rates_repeat_them_in_further_rounds() -> None:
    assert spread_rates([1e-3], 3) == [(1e-3, 0), (1e-3, 1), (1e-3, 2)]
    assert [rate for rate, _ in spread_rates(GRID, 10)[:5]] == [
        rate for rate, _ in spread_rates(GRID, 10)[5:]
    ]


@given(st.integers(1, 9), st.integers(1, 30))
def test_each_rate_comes_once_a_round(num_rates: int, num: int) -> None:
    chosen = spread_rates([float(rate) for rate in range(num_rates)], num)
    assert len(set(chosen)) == len(chosen) == num
    assert chosen[0] == (float((num_rates - 1) // 2), 0)
    assert [round_index for _, round_index in chosen] == [i // num_rates for i in range(num)]


@pytest.mark.parametrize(("num_trials", "trials"), [(1, 3), (12, 3), (13, 4), (16, 4), (40, 10)])
def test_baselines_get_a_quarter_of_the_search(num_trials: int, trials: int) -> None:
    assert sweep_config(num_trials=num_trials).num_baseline_trials == trials
    assert sweep_config(num_trials=num_trials, baseline=BaselineConfig(trials=2)).num_baseline_trials == 2


def test_presets_that_fit_are_trained_and_the_others_listed_with_their_size() -> None:
    chosen, left_out = choose_presets(None, candidates_of(sweep_config()), None)
    assert list(chosen) == ["tiny_demo"]
    assert chosen["tiny_demo"].num_params == 527490
    assert sorted([*chosen, *(place.name for place in left_out)]) == list_presets("puzzle")
    places = {place.name: place for place in left_out}
    assert places["base_default"].num_params == 27275778
    assert places["base_default"].violation is not None
    assert "budget.max_params=527,490" in places["base_default"].violation


def test_a_named_preset_out_of_reach_is_listed_and_an_unknown_one_refused() -> None:
    candidates = candidates_of(sweep_config())
    chosen, left_out = choose_presets(["medium", "medium"], candidates, None)
    assert not chosen and [place.name for place in left_out] == ["medium"]
    with pytest.raises(UnknownNameError, match=r"one of: base_default, .* Did you mean 'tiny_demo'\?"):
        choose_presets(["tiny_dem"], candidates, None)
    assert choose_presets([], candidates, None) == ({}, [])


def test_a_preset_that_the_machine_cannot_hold_is_left_out() -> None:
    chosen, left_out = choose_presets(["tiny_demo"], candidates_of(sweep_config()), 2**20)
    assert not chosen
    [place] = left_out
    assert place.num_params == 527490
    assert place.violation is not None and place.violation.endswith("GiB of memory, a trial has 0.00 GiB")
    assert list(choose_presets(["tiny_demo"], candidates_of(sweep_config()), 2**33)[0]) == ["tiny_demo"]


def test_presets_that_the_rules_make_one_model_are_trained_once() -> None:
    """`base_default` and `compute_scaled` differ in their cycles alone."""
    config = sweep_config(
        model={"H_cycles": 2, "L_cycles": 2, "H_layers": 1},
        budget=BudgetConfig(max_params="30M"),
        space={"name": "rates", "question": "Which rate?", "parameters": {"lr": [1e-3]}},
        train=SweepTrainConfig(steps=200, num_reports=5, equal="steps"),
    )
    chosen, left_out = choose_presets(
        ["compute_scaled", "base_default"], Candidates(config, MODEL_FIELDS), None
    )
    assert list(chosen) == ["compute_scaled"]
    assert [place.violation for place in left_out] == [
        "the same model as compute_scaled under this sweep's rules"
    ]


def test_baselines_share_data_and_compute_with_the_search() -> None:
    config = sweep_config(num_trials=28, seed=5)
    candidates = candidates_of(config)
    jobs = BaselinePhase(config, candidates, {"tiny_demo": candidates.preset("tiny_demo")}).all_jobs
    candidate = candidates.sample(np.random.default_rng(0))
    assert candidate is not None
    assert [job.number for job in jobs] == list(range(7))
    assert sorted({job.run.train.lr for job in jobs}) == candidates.learning_rates
    assert all(job.params["lr"] == job.run.train.lr for job in jobs)
    assert all(job.arm == "tiny_demo" and job.kind == "baseline" for job in jobs)
    assert not any(job.may_prune or job.read_test for job in jobs)
    assert len({(job.run.train.lr, job.run.seed) for job in jobs}) == 7, "none is trained twice"
    assert 5 not in {job.run.seed for job in jobs}, "nor by a search trial of the same shape and rate"
    assert len({job.run.seed for job in jobs}) == 2, "one seed a round"
    for job in jobs:
        assert job.run.task == candidate.run.task
        assert job.run.train.num_reports == candidate.run.train.num_reports
        flops = job.flops_per_step * job.run.train.steps
        assert flops == pytest.approx(candidate.flops_per_step * candidate.run.train.steps, rel=0.02)
