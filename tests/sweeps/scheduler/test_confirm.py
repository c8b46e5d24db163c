from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from sweeps.config import BaselineConfig, SweepConfig
from sweeps.events import Ended, Job, Started, Status, Trial, Validated, Validation
from sweeps.scheduler.phases.baseline import BaselinePhase
from sweeps.scheduler.phases.confirm import ConfirmPhase, Finalist, choose_baselines, make_confirmations
from sweeps.scheduler.state import SweepState
from sweeps.search.objectives import Objective, Objectives
from sweeps.search.seeds import derive_confirmation_seeds
from sweeps.space.candidates import Candidate
from tests.sweeps.search_cases import candidates_of, sweep_config
from tests.sweeps.small_jobs import ended_trial
from tests.sweeps.small_sweep import list_all

ACCURACY, LOSS = Objective.parse("valid/blank_accuracy"), Objective.parse("valid/loss")


class Outcome(NamedTuple):
    status: Status
    validations: list[Validation]


def reached(value: float | None, status: Status = "completed") -> Outcome:
    metrics = {"valid/blank_accuracy": value, "valid/loss": value}
    return Outcome(
        status,
        [Validation(index=1, step=1, train_flops=1, train_seconds=1, eval_seconds=1, metrics=metrics)],
    )


FAILED = Outcome("failed", [])


def baselines(objective: Objective, outcomes: list[Outcome]) -> list[Finalist]:
    config = sweep_config(baseline=BaselineConfig(trials=len(outcomes)))
    return choose_baselines(objective, trials_of(baseline_jobs(config), outcomes))


def baseline_jobs(config: SweepConfig) -> list[Job]:
    candidates = candidates_of(config)
    return BaselinePhase(config, candidates, {"tiny_demo": candidates.preset("tiny_demo")}).all_jobs


def trials_of(jobs: list[Job], outcomes: list[Outcome]) -> list[Trial]:
    return [
        ended_trial(job, outcome.validations, outcome.status)
        for job, outcome in zip(jobs, outcomes, strict=True)
    ]


def finalists(
    config: SweepConfig,
    objectives: Objectives,
    outcomes: list[Outcome],
    searched: Sequence[Candidate],
) -> list[Finalist]:
    """The search trials that are confirmed."""
    state = SweepState()
    for number, candidate in enumerate(searched):
        job = search_job(number, candidate)
        state.apply(Started.from_job(job), job)
        for validation in outcomes[number].validations:
            state.apply(Validated(number=number, validation=validation))
        state.apply(Ended(number=number, status=outcomes[number].status))
    phase = ConfirmPhase(config, candidates_of(config), objectives, [], searched.__getitem__, lambda state: 0)
    phase.make_jobs(state)
    return [finalist for finalist in phase.finalists if finalist.job.kind == "search"]


def search(outcomes: list[Outcome], objective: Objective = ACCURACY, count: int = 2) -> list[str]:
    config = sweep_config(confirm=dataclasses.replace(sweep_config().confirm, finalists=count))
    everything = list_all(candidates_of(config))
    chosen = finalists(config, Objectives((objective,)), outcomes, everything[: len(outcomes)])
    return [finalist.name for finalist in chosen]


def search_job(number: int, candidate: Any) -> Job:
    return Job(
        number=number,
        kind="search",
        arm=f"trial {number}",
        params=candidate.values,
        run=candidate.run,
        num_params=candidate.num_params,
        flops_per_step=candidate.flops_per_step,
        may_prune=True,
    )


def test_the_best_completed_trials_are_the_finalists() -> None:
    outcomes = [
        reached(0.3),
        reached(0.9, "pruned"),
        reached(0.5),
        reached(None),
        reached(0.4),
        reached(0.8, "failed"),
    ]
    assert search(outcomes) == ["trial 2", "trial 4"]
    assert search(outcomes, LOSS) == ["trial 0", "trial 4"]
    assert search(outcomes, count=9) == ["trial 2", "trial 4", "trial 0"]
    assert search(outcomes, count=1) == ["trial 2"]


def test_the_earlier_of_two_equal_trials_goes_first() -> None:
    assert search([reached(0.5), reached(0.7), reached(0.7), reached(0.7)]) == ["trial 1", "trial 2"]


@pytest.mark.parametrize(("objective", "rate", "best"), [(ACCURACY, 1e-4, 0.9), (LOSS, 1e-3, 0.1)])
def test_a_baseline_enters_at_its_best_rate(objective: Objective, rate: float, best: float) -> None:
    """Three trials: the middle rate first, then the lowest and the highest."""
    [finalist] = baselines(objective, [reached(0.1), reached(0.9), reached(0.2)])
    assert (finalist.name, finalist.job.run.train.lr, finalist.objective) == ("tiny_demo", rate, best)


def test_a_rate_trained_twice_counts_by_its_mean_and_behind_if_one_failed() -> None:
    """Seven trials: all five rates, then the first two again."""
    once, again = [reached(v) for v in (0.5, 0.6, 0.3, 0.3, 0.3)], [reached(0.8), reached(0.2)]
    [finalist] = baselines(ACCURACY, once + again)
    assert (finalist.job.number, finalist.objective) == (0, pytest.approx(0.65))
    [finalist] = baselines(ACCURACY, [*once, FAILED, reached(0.2)])
    assert (finalist.job.number, finalist.objective) == (1, pytest.approx(0.4))


def test_a_baseline_of_which_all_failed_does_not_enter() -> None:
    assert baselines(ACCURACY, [FAILED] * 3) == []
    [finalist] = baselines(ACCURACY, [FAILED, FAILED, reached(0.1)])
    assert finalist.job.number == 2


def test_every_arm_meets_the_same_fresh_seeds() -> None:
    config = sweep_config(seed=3)
    jobs = baseline_jobs(config)
    arms = [Finalist(name=f"arm {job.number}", job=job, objective=0.5) for job in jobs]
    confirmations = list(make_confirmations(config, arms, 40))
    assert [job.number for job in confirmations] == list(range(40, 49))
    seeds = derive_confirmation_seeds(3, config.confirm.seeds)
    assert [job.run.seed for job in confirmations] == [seed for seed in seeds for _ in arms]
    for job, arm in zip(confirmations, arms * 3, strict=True):
        assert (job.kind, job.read_test, job.may_prune) == ("confirm", True, False)
        assert dataclasses.replace(job.run, seed=arm.job.run.seed) == arm.job.run
        assert (job.arm, job.params, job.num_params) == (arm.job.arm, arm.job.params, arm.job.num_params)
