"""Pruned trials that go on: which, from where, at what cost, and what the study knows of it."""

from __future__ import annotations

import dataclasses
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulator import FakeClock, Simulator
from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.config import ConfirmConfig, StopConfig, SweepConfig
from sweeps.report.sections.search import build_outcomes
from sweeps.results.tables import read_trials
from sweeps.scheduler.phases.base import DONE
from sweeps.scheduler.phases.resume_pruned import rank_by_promise
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.constrained_sampler import find_exhausted_keys
from sweeps.search.pareto_front import dominates
from sweeps.search.study import RESUMED
from tests.sweeps.scheduler.test_resume import Killed, extended, found, killed_after, session, spent
from tests.sweeps.search_cases import (
    NO_BASELINES,
    candidates_of,
    decisions,
    jobs_of,
    make_plan,
    outcomes_of,
    search_jobs,
    simulate,
    study_of,
    sweep_config,
)
from tests.sweeps.test_determinism import erratic

CURVES = SyntheticCurves(world=1)
UNPRUNED = {"name": "none"}


def searched(slots: int = 2, **overrides: Any) -> Scheduler:
    plan = make_plan(slots, num_trials=12, **({"baseline": NO_BASELINES} | overrides))
    simulate(plan, slots, CURVES)
    return plan


def resumed(plan: Scheduler) -> list[int]:
    return [number for number, job in jobs_of(plan).items() if job.resumed_from]


def spent_flops(plan: Scheduler) -> int:
    return sum(outcomes_of(plan)[number].reports[-1].train_flops for number in search_jobs(plan))


def test_two_trials_are_compared_at_the_last_mark_that_both_have_reached() -> None:
    early, late, worse = {1: [0.3]}, {1: [0.4], 2: [0.2]}, {1: [0.5], 2: [0.1]}
    assert rank_by_promise({0: early, 1: late}) == [0, 1], "at mark 1; what it became later is not known"
    assert rank_by_promise({0: late, 1: worse}) == [1, 0]
    assert rank_by_promise({0: early, 1: early}) == [0, 1]
    assert rank_by_promise({0: early, 1: {1: [0.3], 2: [0.9]}}) == [1, 0], "a tie: it got further"
    assert rank_by_promise({0: {}, 1: early}) == [1], "nothing is known of a trial that has said nothing"
    assert rank_by_promise({}) == []


curves = st.dictionaries(
    st.integers(1, 4), st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4
)


@given(st.dictionaries(st.integers(0, 20), curves, max_size=8))
def test_the_order_is_that_of_a_count_over_all_pairs(trials: dict[int, dict[int, Any]]) -> None:
    beaten = dict.fromkeys(trials, 0)
    for a, b in itertools.permutations(trials, 2):
        mark = min(max(trials[a]), max(trials[b]))
        if mark in trials[a] and mark in trials[b]:
            beaten[a] += dominates(trials[a][mark], trials[b][mark])
    expected = sorted(trials, key=lambda number: (-beaten[number], -max(trials[number]), number))
    assert rank_by_promise(trials) == expected


def test_the_best_looking_go_on_to_the_end_that_they_would_have_had() -> None:
    without, plan, whole = (
        searched(),
        searched(resume_pruned=2),
        searched(pruner=UNPRUNED, sampler={"name": "random"}),
    )
    pruned = [number for number in search_jobs(without) if outcomes_of(without)[number].status == "pruned"]
    chosen = resumed(plan)
    assert len(pruned) > len(chosen) == 2 and set(chosen) < set(pruned)
    for number in chosen:
        job, before = jobs_of(plan)[number], outcomes_of(without)[number].reports
        assert job.resumed_from == before and not job.may_prune
        end = outcomes_of(plan)[number]
        assert end.status == "completed"
        assert end.reports == tuple(CURVES(job, index) for index in range(1, 6)), "as if never pruned"
    rest = set(pruned) - set(chosen)
    assert all(outcomes_of(plan)[number] == outcomes_of(without)[number] for number in rest)
    assert len(jobs_of(plan)) == len(jobs_of(without)), "the same job goes on: none is added"
    assert all(outcome.status == "completed" for outcome in outcomes_of(whole).values())


def test_a_resumed_trial_may_become_a_finalist() -> None:
    plan = searched(resume_pruned=12, confirm=ConfirmConfig(finalists=12, seeds=2))
    assert {f"trial {number}" for number in resumed(plan)} <= {arm.name for arm in plan.finalists}
    assert len(plan.finalists) == 12
    names = [arm.name for arm in searched(confirm=ConfirmConfig(finalists=12, seeds=2)).finalists]
    assert len(names) < 12, "pruned trials are none"


def test_the_study_keeps_the_pruned_trial_and_adds_one_that_stands_for_it(tmp_path: Path) -> None:
    plan = searched(resume_pruned=2)
    trials = study_of(plan).trials
    assert len(trials) == 12 + 2
    for trial in trials[12:]:
        pruned = trials[trial.user_attrs[RESUMED]]
        assert (pruned.state.name, trial.state.name) == ("PRUNED", "COMPLETE")
        assert pruned.params == trial.params and pruned.user_attrs["job"] == trial.user_attrs["job"]
        assert plan.trial_numbers[trial.user_attrs["job"]] == trial.number
        assert len(trial.intermediate_values) == 5 > len(pruned.intermediate_values)
    assert {trial.user_attrs["job"] for trial in trials[12:]} == set(resumed(plan))
    # A sampler knows it once, and as completed: what was pruned is closed to replicates.
    study = plan.study
    assert study._resumed == {trial.user_attrs[RESUMED] for trial in trials[12:]}
    with study._storage.view_as_of(16, hidden=study._resumed):
        seen = study.optuna_study.get_trials()
        assert len(seen) == 12
        keys = {trial.user_attrs["key"] for trial in trials[12:]}
        assert keys <= find_exhausted_keys(seen) and not keys & find_exhausted_keys(seen, 2)


@pytest.mark.parametrize("seed", range(3))
def test_decisions_do_not_depend_on_the_speed_of_workers(seed: int) -> None:
    overrides = {"resume_pruned": 2, "num_trials": 12, "seed": seed}
    plans = [make_plan(3, **overrides), make_plan(3, **overrides)]
    for plan, slowness in zip(plans, (None, erratic(seed))):
        simulate(plan, 3, CURVES, slowness)
    first, second = (
        [(t.number, t.state, t.params, t.values) for t in study_of(plan).trials] for plan in plans
    )
    assert decisions(plans[0]) == decisions(plans[1]) and first == second
    assert len(resumed(plans[0])) == 2


def test_flops_are_counted_once_and_stay_within_the_limit() -> None:
    without = searched()
    rest = min(
        job.flops_per_step * job.run.train.steps - outcomes_of(without)[number].reports[-1].train_flops
        for number in search_jobs(without)
        if (job := jobs_of(without)[number]) and outcomes_of(without)[number].status == "pruned"
    )
    overrides: dict[str, Any] = {"resume_pruned": 12, "max_concurrent": 2}
    none_left = searched(stop=StopConfig(flops=spent_flops(without) + rest - 1), **overrides)
    assert not resumed(none_left)
    assert any("were not resumed: stop.flops leaves too little" in note for note in none_left.notes)
    limit = spent_flops(without) + 2 * rest
    some = searched(stop=StopConfig(flops=limit), **overrides)
    assert 1 <= len(resumed(some)) <= 2
    assert spent_flops(without) + rest <= spent_flops(some) <= limit
    assert all(outcomes_of(some)[number].status == "completed" for number in resumed(some))


def test_random_search_gets_the_compute_that_resumed_trials_added() -> None:
    baseline = dataclasses.replace(NO_BASELINES, random=True)
    drawn = {
        num: sum(
            job.kind == "random" for job in jobs_of(searched(resume_pruned=num, baseline=baseline)).values()
        )
        for num in (0, 12)
    }
    assert drawn[12] == 12 > drawn[0], "runs of equal FLOPs: with all resumed, as many as the search has"


def test_a_search_that_ended_early_resumes_too() -> None:
    plan = searched(resume_pruned=1, stop=StopConfig(no_improvement=3))
    assert len(search_jobs(plan)) < 12 and len(resumed(plan)) == 1
    assert plan.next() is DONE


def test_out_of_time_a_resumed_trial_is_pruned_again() -> None:
    clock = FakeClock()
    config = sweep_config(num_trials=12, baseline=NO_BASELINES, resume_pruned=2)
    timed = dataclasses.replace(config, stop=StopConfig(hours=1.0))
    started = simulate(make_plan(1, num_trials=12, baseline=NO_BASELINES, resume_pruned=2), 1, CURVES).started
    first, number = next((time, job.number) for time, job in started if job.resumed_from)
    plan = Scheduler(timed, candidates_of(config), None, 1, clock=lambda: 3600 - first - 1 + clock.seconds)
    Simulator(TrialRunner(plan), CURVES, 1, None, clock).run()
    assert resumed(plan) == [number]
    outcome = outcomes_of(plan)[number]
    assert (outcome.status, outcome.error) == ("pruned", "ended by stop.hours=1")
    assert len(outcome.reports) > len(jobs_of(plan)[number].resumed_from)
    assert any("resumed trials" in note for note in plan.notes)


def resuming(**limits: Any) -> SweepConfig:
    return extended(**({"resume_pruned": 2, "baseline": NO_BASELINES} | limits))


RESUMING = resuming()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calm")
    session(out, RESUMING)
    return out


def test_killed_at_any_write_resumed_trials_lose_nothing(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, kills = random.Random(0), 0
    while True:
        try:
            with killed_after(rng.randint(2, 50), rng, monkeypatch):
                session(tmp_path, RESUMING)
            break
        except Killed:
            kills += 1
    assert kills >= 6
    assert found(tmp_path) == found(calm)
    rows = [row for row in read_trials(calm).to_pylist() if row["resumed_from"]]
    assert [row["status"] for row in rows] == ["completed"] * 2
    states = {number: state.name for number, state, *_ in found(calm)["study"]}
    assert "RUNNING" not in states.values()
    for row in read_trials(calm).to_pylist():
        if row["kind"] == "search":
            state = {"completed": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}[row["status"]]
            assert states[row["trial"]] == state, "the table agrees with the study"


def test_the_report_names_them_and_counts_their_compute_once(calm: Path) -> None:
    folder = SweepFolder.read(calm)
    rows = [row for row in folder.select("search") if row["resumed_from"]]
    told = str(build_outcomes(folder))
    assert all(f"{row['arm']} (from validation {row['resumed_from']}, completed)" in told for row in rows)
    [search] = [line for line in spent(calm) if line[0] == "search"]
    assert search[1] == "10"


def resumed_rows(out: Path) -> set[int]:
    return {row["number"] for row in read_trials(out).to_pylist() if row["resumed_from"]}


def test_the_number_can_be_raised_for_what_is_pruned_from_then_on(tmp_path: Path) -> None:
    session(tmp_path, resuming(resume_pruned=0))
    before = set(read_trials(tmp_path)["number"].to_pylist())
    session(tmp_path, RESUMING)
    assert not resumed_rows(tmp_path), "their checkpoints are gone"
    session(tmp_path, resuming(num_trials=16))
    assert resumed_rows(tmp_path) and not resumed_rows(tmp_path) & before


def test_a_higher_number_and_an_extension_go_on_with_the_same_study(calm: Path, tmp_path: Path) -> None:
    session(tmp_path, resuming(resume_pruned=1))
    assert len(resumed_rows(tmp_path)) == 1
    session(tmp_path, RESUMING)
    assert resumed_rows(tmp_path) == resumed_rows(calm)
    before = found(tmp_path)
    session(tmp_path, resuming(num_trials=14))
    after = found(tmp_path)
    assert after["study"][: len(before["study"])] == before["study"]
    assert len(after["study"]) == 14 + 2
    session(tmp_path, resuming(num_trials=14))
    assert found(tmp_path) == after, "nothing is left to do"
