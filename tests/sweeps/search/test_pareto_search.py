"""Sweeps of several objectives, simulated."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.config import ConfirmConfig, StopConfig
from sweeps.events import Event, Job, Validation
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.objectives import Objectives
from sweeps.search.pareto_front import compute_hypervolume, dominates, find_front
from tests.sweeps.search_cases import (
    NO_BASELINES,
    decisions,
    jobs_of,
    make_plan,
    outcomes_of,
    search_jobs,
    simulate,
)

NAMES = ["valid/blank_accuracy", "params"]
CURVES = SyntheticCurves(world=1)


def plan_of(slots: int = 1, journal: Path | None = None, **overrides: Any) -> Scheduler:
    options: dict[str, Any] = {
        "objective": NAMES[0],
        "objectives": NAMES,
        "num_trials": 20,
        "baseline": NO_BASELINES,
    }
    return make_plan(slots, journal, **(options | overrides))


def objectives_of(plan: Scheduler) -> Objectives:
    return plan.study.objectives


def points(plan: Scheduler, status: str) -> dict[int, Any]:
    """Of the search jobs that ended so, by number."""
    found = {}
    for number in search_jobs(plan):
        values = objectives_of(plan).compute_values(
            jobs_of(plan)[number].run, outcomes_of(plan)[number].reports
        )
        if outcomes_of(plan)[number].status == status and values is not None:
            found[number] = objectives_of(plan).make_point(values)
    return found


@pytest.mark.parametrize("sampler", ["nsgaii", "tpe", "gp", "random", "qmc", "grid"])
def test_decisions_do_not_depend_on_which_worker_was_faster(sampler: str) -> None:
    trials = 5 if sampler == "gp" else 20
    plans = [plan_of(3, sampler={"name": sampler}, num_trials=trials) for _ in range(2)]
    simulate(plans[0], 3)
    simulate(plans[1], 3, slowness=lambda job, index: 1 + (job.number * 7 + index) % 5)
    assert decisions(plans[0]) == decisions(plans[1])
    assert len(search_jobs(plans[0])) == trials


@pytest.mark.parametrize("pruner", ["hyperband", "successive_halving", "median", "percentile"])
@pytest.mark.parametrize(("slots", "deterministic"), [(1, True), (3, True), (3, False)])
def test_only_dominated_trials_are_pruned(pruner: str, slots: int, deterministic: bool) -> None:
    plan = plan_of(slots, pruner={"name": pruner}, deterministic=deterministic, sampler={"name": "random"})
    simulate(plan, slots)
    objectives = objectives_of(plan)
    pruned = points(plan, "pruned")
    assert pruned
    for number, point in pruned.items():
        at = len(outcomes_of(plan)[number].reports)
        others = [
            objectives.compute_values(jobs_of(plan)[other].run, outcomes_of(plan)[other].reports[:at])
            for other in search_jobs(plan)
            if (other < number or not deterministic) and len(outcomes_of(plan)[other].reports) >= at
        ]
        assert any(dominates(objectives.make_point(values), point) for values in others if values is not None)


def test_pruning_keeps_the_smallest_size() -> None:
    """By accuracy alone the smallest models, which are the worst here, would all be pruned."""
    several = plan_of(pruner={"name": "successive_halving"}, sampler={"name": "grid"}, num_trials=50)
    simulate(several, train=_rising_with_size)
    alone = make_plan(
        num_trials=50, baseline=NO_BASELINES, sampler={"name": "grid"}, pruner={"name": "successive_halving"}
    )
    simulate(alone, train=_rising_with_size)

    def smallest(plan: Scheduler) -> set[str]:
        least = min(jobs_of(plan)[number].num_params for number in search_jobs(plan))
        return {
            outcomes_of(plan)[n].status for n in search_jobs(plan) if jobs_of(plan)[n].num_params == least
        }

    assert smallest(alone) == {"pruned"}
    assert "completed" in smallest(several)


def _rising_with_size(job: Job, index: int) -> Validation:
    report = CURVES(job, index)
    report.metrics["valid/blank_accuracy"] = job.num_params / 1e6 + job.run.train.lr * index / 100
    return report


@pytest.mark.parametrize("sampler", ["nsgaii", "tpe"])
def test_a_reopened_journal_goes_on_as_if_never_closed(tmp_path: Path, sampler: str) -> None:
    """The study holds all that a decision needs: a sweep cut in two makes the decisions of a whole one."""
    whole, first = (
        plan_of(sampler={"name": sampler}),
        plan_of(1, tmp_path / "journal", sampler={"name": sampler}),
    )
    simulate(whole)
    events = run_trials(first, 7)
    second = plan_of(1, tmp_path / "journal", sampler={"name": sampler})
    for event in events:
        second.apply(event)
    simulate(second)
    assert decisions(second) == decisions(whole)


def run_trials(plan: Scheduler, count: int) -> list[Event]:
    """Run the first trials, and return all events."""
    events: list[Event] = []

    class Recorder:
        def write(self, event: Event) -> None:
            events.append(event)

    runner = TrialRunner(plan, (), Recorder())  # type: ignore[arg-type]
    for _ in range(count):
        job = runner.next_job()
        assert isinstance(job, Job)
        index = 1
        while not runner.report(job.number, CURVES(job, index)):
            index += 1
    return events


def test_the_study_is_a_plain_optuna_study_of_several_objectives(tmp_path: Path) -> None:
    plan = plan_of(2, tmp_path / "journal", pruner={"name": "median"})
    simulate(plan, 2)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal"))
    )
    [summary] = optuna.get_all_study_summaries(storage)
    study = optuna.load_study(study_name=summary.study_name, storage=storage)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.user_attrs["objectives"] == NAMES
    ended = points(plan, "completed")
    on_front = [list(ended)[place] for place in find_front(list(ended.values()))]
    assert sorted(trial.user_attrs["job"] for trial in study.best_trials) == sorted(on_front)
    states = {trial.user_attrs["job"]: trial.state for trial in study.trials}
    assert {number for number, state in states.items() if state == TrialState.PRUNED} == set(
        points(plan, "pruned")
    )


def test_finalists_are_members_of_the_front() -> None:
    plan = plan_of(num_trials=25, sampler={"name": "random"}, confirm=ConfirmConfig(finalists=3))
    simulate(plan)
    ended = points(plan, "completed")
    names = {jobs_of(plan)[list(ended)[place]].arm for place in find_front(list(ended.values()))}
    chosen = [arm.name for arm in plan.finalists]
    assert set(chosen) <= names and len(chosen) == min(3, len(names))
    confirmed = [job for job in jobs_of(plan).values() if job.kind == "confirm"]
    assert len(confirmed) == 3 * len(chosen)
    assert {job.run.seed for job in confirmed}.isdisjoint(
        {jobs_of(plan)[n].run.seed for n in search_jobs(plan)}
    )


def test_no_improvement_means_nothing_new_on_the_front() -> None:
    plan = plan_of(
        num_trials=50, stop=StopConfig(no_improvement=4), sampler={"name": "random"}, pruner={"name": "none"}
    )
    simulate(plan)
    ended = list(points(plan, "completed").values())
    improving = [
        i for i, point in enumerate(ended) if not any(dominates(e, point) or e == point for e in ended[:i])
    ]
    gaps = [later - earlier for earlier, later in itertools.pairwise(improving)]
    assert len(ended) == improving[-1] + 1 + 4 < 50 and max(gaps, default=0) <= 4
    assert "stop.no_improvement=4" in plan.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["nsgaii", "tpe"])
def test_a_sampler_finds_more_hypervolume_than_random_search(sampler: str) -> None:
    """Over five worlds, at the same number of trials."""

    def found(name: str, world: int) -> float:
        plan = plan_of(
            num_trials=25,
            sampler={"name": name},
            pruner={"name": "none"},
            confirm=ConfirmConfig(finalists=0),
            seed=world,
        )
        simulate(plan, train=SyntheticCurves(world=world))
        objectives = objectives_of(plan)
        values = [
            objectives.compute_values(jobs_of(plan)[n].run, outcomes_of(plan)[n].reports)
            for n in search_jobs(plan)
        ]
        return compute_hypervolume([objectives.scale_point(one) for one in values if one is not None])

    assert sum(found(sampler, world) - found("random", world) for world in range(5)) > 0
