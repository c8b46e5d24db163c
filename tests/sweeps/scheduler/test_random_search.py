"""Random search: as much compute as the search, no more; feasible, distinct, repeatable; held against finalists."""

from __future__ import annotations

import dataclasses

from sweeps.config import BaselineConfig, ConfirmConfig
from sweeps.events import Job
from sweeps.scheduler.phases.random_search import ARM, draw_jobs
from sweeps.scheduler.scheduler import Scheduler
from tests.sweeps.search_cases import (
    TINY_SPACE,
    candidates_of,
    decisions,
    jobs_of,
    make_plan,
    outcomes_of,
    simulate,
    sweep_config,
)

RANDOM = BaselineConfig(presets=["tiny_demo"], trials=1, random=True)
COST = 10**15


def drawn(flops: int, made: int = 0, **overrides: object) -> list[Job]:
    config = sweep_config(baseline=RANDOM, **overrides)
    return list(draw_jobs(config, candidates_of(config), flops, first_number=50, num_made=made))


def flops_of(job: Job) -> int:
    return job.flops_per_step * job.run.train.steps


def run(slots: int = 1, **overrides: object) -> Scheduler:
    plan = make_plan(slots, baseline=RANDOM, confirm=ConfirmConfig(finalists=2, seeds=2), **overrides)
    simulate(plan, slots)
    return plan


def test_it_spends_what_the_search_spent_and_no_more() -> None:
    plan = run()
    spent = sum(trial.train_flops for trial in plan.state.of_kind("search"))
    jobs = [job for job in jobs_of(plan).values() if job.kind == "random"]
    assert any(outcome.status == "pruned" for outcome in outcomes_of(plan).values()), (
        "the search saved something"
    )
    assert 0 < len(jobs) < 10 and sum(map(flops_of, jobs)) <= spent
    assert sum(map(flops_of, jobs)) + 2 * max(map(flops_of, jobs)) > spent, (
        "one more would have been too much"
    )
    assert all(outcomes_of(plan)[job.number].status == "completed" for job in jobs), "none is pruned"


def test_configurations_are_feasible_distinct_and_the_same_again() -> None:
    jobs = drawn(20 * COST)
    candidates = candidates_of(sweep_config())
    assert len(jobs) == candidates.num_feasible_trials, "the whole space, when there is compute for it"
    assert len({(job.run.model, job.run.train.lr) for job in jobs}) == len(jobs)
    assert all(candidates.budget.max_params >= job.num_params for job in jobs)
    assert jobs == drawn(20 * COST) != drawn(20 * COST, seed=1)


def test_more_compute_makes_the_same_sequence_longer() -> None:
    everything = drawn(20 * COST)
    few = drawn(sum(map(flops_of, everything[:4])))
    assert few == everything[:4]
    later = drawn(20 * COST, made=4)
    assert [dataclasses.replace(job, number=0) for job in later] == [
        dataclasses.replace(job, number=0) for job in everything[4:]
    ]
    assert [job.number for job in later] == list(range(50, 50 + len(later)))


def test_one_configuration_is_trained_however_little_the_search_spent() -> None:
    assert len(drawn(0)) == 1


def test_its_best_is_confirmed_beside_finalists_and_presets() -> None:
    plan = run()
    assert [arm.name for arm in plan.finalists][2:] == ["tiny_demo", ARM]
    random = {job.number: job for job in jobs_of(plan).values() if job.kind == "random"}
    best = plan.finalists[-1]
    reached = [outcomes_of(plan)[number].reports[-1].metrics["valid/blank_accuracy"] for number in random]
    assert best.objective == max(value for value in reached if value is not None)
    seeds = {
        arm.name: {
            job.run.seed for job in jobs_of(plan).values() if job.kind == "confirm" and job.arm == arm.name
        }
        for arm in plan.finalists
    }
    assert len(set(map(frozenset, seeds.values()))) == 1 and len(seeds[ARM]) == 2
    confirmed = [job for job in jobs_of(plan).values() if job.kind == "confirm" and job.arm == ARM]
    assert {job.run.model for job in confirmed} == {best.job.run.model}


def test_numbers_and_decisions_do_not_depend_on_who_was_faster() -> None:
    plan = run(slots=3)
    assert sorted(jobs_of(plan)) == list(range(len(jobs_of(plan))))
    other = make_plan(3, baseline=RANDOM, confirm=ConfirmConfig(finalists=2, seeds=2))
    simulate(other, 3, slowness=lambda job, index: 1 + (job.number * 7 + index) % 5)
    assert decisions(other) == decisions(plan)
    assert plan.num_jobs_expected == len(jobs_of(plan))


def test_it_ends_with_a_space_that_is_used_up() -> None:
    plan = run(space=TINY_SPACE, num_trials=10)
    kinds = [job.kind for job in jobs_of(plan).values()]
    assert 1 <= kinds.count("random") <= kinds.count("search") == 4


def test_without_being_asked_for_there_is_none() -> None:
    plan = make_plan()
    simulate(plan)
    assert not any(job.kind == "random" for job in jobs_of(plan).values())
