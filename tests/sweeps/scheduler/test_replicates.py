"""Configurations that are proposed again: trained on new seeds as often as asked, and no more."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.config import ConfirmConfig
from sweeps.events import Job, Validation
from sweeps.scheduler.scheduler import Scheduler
from sweeps.search.objectives import Objective
from sweeps.search.samplers import SAMPLERS
from sweeps.search.seeds import derive_replicate_seed
from tests.sweeps.search_cases import (
    NO_BASELINES,
    NO_CONFIRMATION,
    TINY_SPACE,
    jobs_of,
    make_plan,
    outcomes_of,
    search_jobs,
    simulate,
)


def replicated(name: str, slots: int = 1, **overrides: Any) -> Scheduler:
    values: dict[str, Any] = {
        "space": TINY_SPACE,
        "sampler": {"name": name},
        "num_trials": 20,
        "replicates": 3,
        "pruner": {"name": "none"},
        "baseline": NO_BASELINES,
        "confirm": NO_CONFIRMATION,
    }
    plan = make_plan(slots, **values | overrides)
    simulate(plan, slots)
    return plan


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_repeats_a_configuration_on_new_seeds_as_often_as_asked(name: str, slots: int) -> None:
    plan = replicated(name, slots)
    seeds: dict[tuple[Any, ...], list[int]] = {}
    for job in jobs_of(plan).values():
        seeds.setdefault(tuple(job.params.items()), []).append(job.run.seed)
    assert len(seeds) == 4 and len(jobs_of(plan)) <= 12
    rounds = [derive_replicate_seed(0, index) for index in range(3)]
    assert rounds[0] == 0 and len(set(rounds)) == 3
    assert all(each == rounds[: len(each)] for each in seeds.values())
    assert slots > 1 or len(jobs_of(plan)) == 12


def test_what_was_pruned_or_failed_is_not_repeated() -> None:
    def failing(job: Job, index: int) -> Validation:
        if job.params["H_layers"] == 2:
            raise RuntimeError("broken")
        return SyntheticCurves(world=1)(job, index)

    plan = make_plan(
        space=TINY_SPACE,
        num_trials=20,
        replicates=2,
        baseline=NO_BASELINES,
        confirm=NO_CONFIRMATION,
        pruner={"name": "none"},
    )
    simulate(plan, train=failing)
    assert sorted(job.params["H_layers"] for job in jobs_of(plan).values()) == [2, 2, 3, 3, 3, 3]


def test_replicates_are_one_finalist_at_their_mean() -> None:
    plan = replicated("grid", confirm=ConfirmConfig(finalists=4, seeds=2))
    objective = Objective.parse("valid/blank_accuracy")
    by_params: dict[tuple[Any, ...], list[float]] = {}
    for number in search_jobs(plan):
        value = objective.compute_value(outcomes_of(plan)[number].reports)
        by_params.setdefault(tuple(jobs_of(plan)[number].params.items()), []).append(value or 0.0)
    means = {params: statistics.mean(values) for params, values in by_params.items()}
    assert [arm.objective for arm in plan.finalists] == pytest.approx(sorted(means.values(), reverse=True))
    assert len({arm.name for arm in plan.finalists}) == 4
    assert all(arm.objective == pytest.approx(means[tuple(arm.job.params.items())]) for arm in plan.finalists)
