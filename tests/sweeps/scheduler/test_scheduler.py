from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from benchmarks.synthetic_curves import SyntheticCurves
from hrm.config.errors import UserError
from sweeps.config import BaselineConfig, BudgetConfig, ConfirmConfig, SweepTrainConfig
from sweeps.events import Ended, Job, Validation
from sweeps.scheduler.phases.base import DONE, WAIT
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.objectives import Objective
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS
from sweeps.search.seeds import derive_confirmation_seeds
from sweeps.space.candidates import Candidates
from tests.sweeps.search_cases import (
    MODEL_FIELDS,
    NO_BASELINES,
    NO_CONFIRMATION,
    PRUNER_SECTIONS,
    SPACE,
    TINY_SPACE,
    jobs_of,
    make_plan,
    outcomes_of,
    search_jobs,
    simulate,
    study_of,
    sweep_config,
)

CURVES = SyntheticCurves(world=1)


def kinds(plan: Scheduler) -> list[str]:
    """Of the jobs, by number."""
    return [jobs_of(plan)[number].kind for number in sorted(jobs_of(plan))]


def started(runner: TrialRunner) -> Job:
    job = runner.next_job()
    assert isinstance(job, Job)
    return job


class Failing:
    """Fails every search job whose number leaves no rest, after `reports` reports."""

    def __init__(self, every: int = 1, reports: int = 0, kind: str = "search") -> None:
        self.every, self.reports, self.kind = every, reports, kind

    def __call__(self, job: Job, index: int) -> Validation:
        if job.kind == self.kind and job.number % self.every == 0 and index > self.reports:
            raise RuntimeError("out of memory")
        return CURVES(job, index)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_numbers_go_from_baselines_to_search_to_confirmations(slots: int) -> None:
    plan = make_plan(slots, num_trials=12)
    simulation = simulate(plan, slots)
    assert kinds(plan) == ["baseline"] * 3 + ["search"] * 12 + ["confirm"] * 9
    assert sorted(jobs_of(plan)) == list(range(24))
    assert [job.number for _, job in simulation.started] == list(jobs_of(plan))
    assert list(plan.trial_numbers.items()) == [(3 + i, i) for i in range(12)]
    assert list(jobs_of(plan))[15:] == list(range(15, 24)), "confirmations come last"
    assert plan.next() is DONE


def test_baselines_fill_the_slots_that_a_waiting_search_leaves_idle() -> None:
    plan = make_plan(2, num_trials=6, pruner={"name": "none"})
    simulation = simulate(plan, 2, slowness=lambda job, index: 4 if job.number == 3 else 1)
    assert [job.kind for _, job in simulation.started[:6]] == ["search"] * 2 + ["baseline"] * 3 + ["search"]
    starts = [time for time, job in simulation.started if job.kind == "search"]
    assert starts == [0, 0, 40, 40, 50, 50], "trial 2 must see trial 0, which is slow"
    assert [time for time, job in simulation.started if job.kind == "baseline"] == [10, 20, 30]


def test_one_slot_searches_before_it_trains_baselines() -> None:
    plan = make_plan()
    kinds_started = [job.kind for _, job in simulate(plan).started]
    assert kinds_started == ["search"] * 10 + ["baseline"] * 3 + ["confirm"] * 9


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [*((sampler, "hyperband") for sampler in SAMPLERS), *(("random", pruner) for pruner in PRUNERS)],
)
def test_nothing_over_budget_or_twice_is_ever_started(sampler: str, pruner: str) -> None:
    plan = make_plan(2, sampler={"name": sampler}, pruner=PRUNER_SECTIONS[pruner], num_trials=12, seed=2)
    simulate(plan, 2)
    assert all(job.num_params <= 527490 for job in jobs_of(plan).values())
    runs = [repr(job.run) for job in jobs_of(plan).values()]
    assert len(set(runs)) == len(runs), "a run was trained twice"
    assert kinds(plan).count("search") == 12
    states = [trial.state for trial in study_of(plan).trials]
    expected = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    assert states == [expected[outcomes_of(plan)[number].status] for number in search_jobs(plan)]
    assert (TrialState.PRUNED in states) is (pruner not in ("none", "patient")), "no curve falls for long"


def test_the_study_holds_search_trials_only(tmp_path: Path) -> None:
    plan = make_plan(2, tmp_path / "study.journal")
    simulate(plan, 2)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    [summary] = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    numbers = search_jobs(plan)
    assert [trial.user_attrs["job"] for trial in trials] == numbers
    objective = Objective.parse("valid/blank_accuracy")
    for trial, number in zip(trials, numbers, strict=True):
        reports = outcomes_of(plan)[number].reports
        assert trial.value == objective.compute_value(reports)
        assert trial.intermediate_values == {
            report.index: objective.compute_value(reports[: report.index]) for report in reports
        }


def test_search_trials_share_the_seed_of_the_sweep_and_may_be_pruned() -> None:
    plan = make_plan(seed=7)
    simulate(plan)
    jobs = [jobs_of(plan)[number] for number in search_jobs(plan)]
    assert {job.run.seed for job in jobs} == {7}
    assert all(job.may_prune and not job.read_test for job in jobs)
    assert [job.arm for job in jobs] == [f"trial {i}" for i in range(10)]


def test_only_search_trials_are_pruned_and_never_at_their_last_report() -> None:
    plan = make_plan(2, num_trials=14)
    simulate(plan, 2)
    pruned = [number for number, outcome in outcomes_of(plan).items() if outcome.status == "pruned"]
    assert pruned and set(pruned) <= set(search_jobs(plan))
    assert {len(outcomes_of(plan)[number].reports) for number in pruned} <= {1, 2, 3, 4}
    assert not any(job.may_prune for job in jobs_of(plan).values() if job.kind != "search")


def test_without_a_pruner_no_job_asks_for_pruning() -> None:
    plan = make_plan(pruner={"name": "none"})
    assert not any(job.may_prune for _, job in simulate(plan).started)


def test_the_best_and_the_baselines_are_confirmed_on_the_same_fresh_seeds() -> None:
    plan = make_plan(2, num_trials=12, confirm=ConfirmConfig(finalists=2, seeds=3), seed=4)
    simulate(plan, 2)
    objective = Objective.parse("valid/blank_accuracy")
    completed = {
        number: objective.compute_value(outcomes_of(plan)[number].reports)
        for number in search_jobs(plan)
        if outcomes_of(plan)[number].status == "completed"
    }
    best = sorted(completed, key=lambda number: -(completed[number] or 0))[:2]
    assert [finalist.name for finalist in plan.finalists] == [
        *(jobs_of(plan)[n].arm for n in best),
        "tiny_demo",
    ]
    confirmations = [job for job in jobs_of(plan).values() if job.kind == "confirm"]
    by_arm: dict[str, list[int]] = {}
    for job in confirmations:
        by_arm.setdefault(job.arm, []).append(job.run.seed)
    assert list(by_arm.values()) == [derive_confirmation_seeds(4, 3)] * 3
    assert 4 not in derive_confirmation_seeds(4, 3)
    for job in confirmations:
        metrics = outcomes_of(plan)[job.number].reports[-1].metrics
        assert job.read_test and "test/blank_accuracy" in metrics
    others = [
        outcome for number, outcome in outcomes_of(plan).items() if jobs_of(plan)[number].kind != "confirm"
    ]
    assert not any(name.startswith("test/") for o in others for r in o.reports for name in r.metrics)


def test_no_finalists_means_no_confirmation() -> None:
    plan = make_plan(confirm=NO_CONFIRMATION)
    assert plan.num_jobs_expected == 13
    simulate(plan)
    assert kinds(plan) == ["baseline"] * 3 + ["search"] * 10
    assert plan.finalists == []


def test_fewer_completed_trials_than_finalists_are_all_confirmed() -> None:
    plan = make_plan(num_trials=1, confirm=ConfirmConfig(finalists=3, seeds=2), baseline=NO_BASELINES)
    simulate(plan)
    assert kinds(plan) == ["search", "confirm", "confirm"]


@pytest.mark.parametrize("reports", [0, 1])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_failed_trial_is_a_row_and_the_sweep_goes_on(slots: int, reports: int) -> None:
    plan = make_plan(slots, num_trials=9, pruner={"name": "none"})
    simulate(plan, slots, Failing(every=3, reports=reports))
    failed = [number for number in search_jobs(plan) if outcomes_of(plan)[number].status == "failed"]
    assert failed == [3, 6, 9]
    assert outcomes_of(plan)[3].error == "RuntimeError: out of memory"
    assert len(outcomes_of(plan)[3].reports) == reports
    trials = study_of(plan).trials
    assert [trial.number for trial in trials if trial.state == TrialState.FAIL] == [0, 3, 6]
    assert trials[0].value is None and trials[0].user_attrs["error"] == "RuntimeError: out of memory"
    assert kinds(plan).count("search") == 9 and kinds(plan).count("confirm") == 9


def test_when_every_search_trial_fails_the_baselines_are_confirmed_still() -> None:
    plan = make_plan(2)
    simulate(plan, 2, Failing())
    assert [finalist.name for finalist in plan.finalists] == ["tiny_demo"]
    assert kinds(plan).count("confirm") == 3
    assert plan.notes == ["No search trial was completed: only the baselines are confirmed."]


def test_a_baseline_that_fails_is_a_row_and_is_not_confirmed() -> None:
    plan = make_plan(2)
    simulate(plan, 2, Failing(kind="baseline"))
    assert [outcomes_of(plan)[number].status for number in range(3)] == ["failed"] * 3
    assert [finalist.name for finalist in plan.finalists] == [
        f"trial {e.job.number - 3}" for e in plan.finalists
    ]
    assert plan.notes == ["Every trial of the baseline tiny_demo failed: it is not confirmed."]


def test_a_failed_confirmation_is_a_row_and_ends_nothing() -> None:
    plan = make_plan(2)
    simulate(plan, 2, Failing(kind="confirm", every=2))
    statuses = [outcomes_of(plan)[n].status for n, job in jobs_of(plan).items() if job.kind == "confirm"]
    assert sorted(set(statuses)) == ["completed", "failed"] and len(statuses) == 9


def test_a_trial_that_never_reports_the_objective_fails_in_the_study() -> None:
    def silent(job: Job, index: int) -> Validation:
        report = CURVES(job, index)
        return dataclasses.replace(report, metrics={**report.metrics, "valid/blank_accuracy": None})

    plan = make_plan(num_trials=3)
    simulate(plan, train=silent)
    assert {outcomes_of(plan)[number].status for number in search_jobs(plan)} == {"completed"}
    assert {trial.state for trial in study_of(plan).trials} == {TrialState.FAIL}
    errors = {trial.user_attrs["error"] for trial in study_of(plan).trials}
    assert errors == {"no finite valid/blank_accuracy was reported"}
    assert plan.finalists == []


def test_a_stopped_job_is_pruned_however_it_ends() -> None:
    plan = make_plan(baseline=NO_BASELINES, pruner={"name": "successive_halving", "min_resource": 1})
    dispatcher = TrialRunner(plan)
    first = started(dispatcher)
    assert [dispatcher.report(first.number, CURVES(first, index)) for index in range(1, 6)] == [
        *[False] * 4,
        True,
    ]
    second = started(dispatcher)
    bad = {"valid/blank_accuracy": 0.0}
    assert dispatcher.report(second.number, dataclasses.replace(CURVES(second, 1), metrics=bad))
    assert dispatcher.report(second.number, CURVES(second, 2)), "still: a decision stands"
    dispatcher.end(failure(second.number))
    assert outcomes_of(plan)[second.number].status == "pruned"
    trial = study_of(plan).trials[1]
    assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, {1: 0.0})


def test_a_slot_waits_for_the_trial_that_the_next_one_must_see() -> None:
    runner = TrialRunner(make_plan(slots=2, baseline=NO_BASELINES))
    first, second = started(runner), started(runner)
    runner.end(failure(second.number))
    assert runner.next_job() is WAIT, "trial 2 must see trial 0"
    runner.end(failure(first.number))
    assert isinstance(runner.next_job(), Job) and isinstance(runner.next_job(), Job)


def test_confirmations_wait_for_the_last_search_trial() -> None:
    runner = TrialRunner(make_plan(slots=2, num_trials=2, baseline=NO_BASELINES))
    first, second = started(runner), started(runner)
    runner.end(failure(first.number))
    assert runner.next_job() is WAIT
    runner.end(failure(second.number))
    assert runner.next_job() is DONE


def failure(number: int) -> Ended:
    return Ended(number=number, status="failed", error="x")


def test_a_small_space_ends_the_search_early_and_says_so() -> None:
    plan = make_plan(2, space=TINY_SPACE, num_trials=10, baseline=NO_BASELINES, confirm=NO_CONFIRMATION)
    assert plan.num_jobs_expected == 4
    simulate(plan, 2)
    assert kinds(plan) == ["search"] * 4
    assert plan.notes == [
        "The search ended after 4 of 10 trials: it had tried every distinct configuration within the budget."
    ]


def test_a_search_that_just_fits_its_space_needs_no_note() -> None:
    plan = make_plan(space=TINY_SPACE, num_trials=4)
    simulate(plan)
    assert kinds(plan).count("search") == 4 and plan.notes == []


@pytest.mark.parametrize(
    "overrides", [{}, {"space": TINY_SPACE}, {"baseline": NO_BASELINES}, {"num_trials": 1}]
)
def test_the_expected_number_of_jobs_holds(overrides: dict[str, Any]) -> None:
    plan = make_plan(2, **overrides)
    expected = plan.num_jobs_expected
    simulate(plan, 2)
    assert expected == plan.num_jobs_expected == len(jobs_of(plan)) == len(outcomes_of(plan))


def test_the_expected_number_becomes_exact_when_fewer_are_confirmed() -> None:
    plan = make_plan(2)
    assert plan.num_jobs_expected == 22
    simulate(plan, 2, Failing())
    assert plan.num_jobs_expected == len(jobs_of(plan)) == 16


def test_presets_out_of_reach_are_listed() -> None:
    plan = make_plan()
    assert list(plan.presets) == ["tiny_demo"]
    assert {"base_default", "small_sudoku"} <= {place.name for place in plan.left_out}
    unbounded = sweep_config(
        budget=BudgetConfig(), baseline=BaselineConfig(presets=["small_sudoku"], trials=1)
    )
    plan = Scheduler(unbounded, Candidates(unbounded, MODEL_FIELDS), None, 1)
    assert list(plan.presets) == ["small_sudoku"] and plan.left_out == []


def test_flops_are_spent_alike_by_every_complete_job() -> None:
    plan = make_plan(2, num_trials=6, train=SweepTrainConfig(steps=200, num_reports=5))
    simulate(plan, 2)
    spent = [o.reports[-1].train_flops for o in outcomes_of(plan).values() if o.status == "completed"]
    assert max(spent) <= 200 * plan.presets["tiny_demo"].flops_per_step
    assert min(spent) >= 0.97 * max(spent)


def test_tpe_finds_better_configurations_than_random() -> None:
    """The ceiling of the trial that each would pick, over seeded worlds; without noise to speak of."""
    found: dict[str, list[float]] = {"tpe": [], "random": []}
    for sampler, ceilings in found.items():
        for world in range(10):
            plan = make_plan(
                sampler={"name": sampler},
                pruner={"name": "none"},
                num_trials=16,
                seed=world,
                baseline=NO_BASELINES,
                confirm=ConfirmConfig(finalists=1, seeds=2),
            )
            curves = SyntheticCurves(world, noise=0.001)
            simulate(plan, train=curves)
            ceilings.append(curves.compute_ceiling(plan.finalists[0].job))
    assert statistics.mean(found["tpe"]) > statistics.mean(found["random"]) + 0.01


def test_user_errors_come_before_anything_starts(tmp_path: Path) -> None:
    for overrides in (
        {"sampler": {"name": "annealing"}},
        {"pruner": {"name": "median", "interval": 2}},
        {"objective": "test/exact_accuracy"},
        {"baseline": BaselineConfig(presets=["tiny"])},
    ):
        with pytest.raises(UserError):
            make_plan(1, tmp_path / "journal", **overrides)
    assert not list(tmp_path.iterdir())


def test_the_simulator_tells_a_deadlock() -> None:
    class Stuck(Scheduler):
        def next(self) -> Any:
            return WAIT

    config = sweep_config(space=SPACE)
    plan = Stuck(config, Candidates(config, MODEL_FIELDS), None, 1)
    with pytest.raises(RuntimeError, match="deadlock"):
        simulate(plan)


def test_the_simulators_clock_is_that_of_the_slowest_worker() -> None:
    plan = make_plan(2, num_trials=2, baseline=NO_BASELINES, confirm=NO_CONFIRMATION, pruner={"name": "none"})
    simulation = simulate(plan, 2, slowness=lambda job, index: 1 + 2 * job.number)
    assert simulation.wall_seconds == pytest.approx(30)
    assert simulation.busy_seconds == pytest.approx(40)
    assert simulation.compute_efficiency(2) == pytest.approx(40 / 60)
