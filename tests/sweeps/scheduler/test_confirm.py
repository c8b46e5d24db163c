from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sweeps.config import BaselineConfig
from sweeps.events import Job, Outcome, Report
from sweeps.scheduler.phases.baseline import baseline_jobs
from sweeps.scheduler.phases.confirm import Finalist, best_baselines, confirmation_jobs, finalists
from sweeps.search.objectives import Objective, Objectives
from sweeps.search.seeds import confirmation_seeds
from tests.sweeps.search_cases import PRESET_SPACE, candidates_of, sweep_config

ACCURACY, LOSS = Objective.parse("valid/blank_accuracy"), Objective.parse("valid/loss")


def reached(value: float | None, status: Any = "completed") -> Outcome:
    report = Report(
        index=1, step=1, train_flops=1, train_seconds=1, eval_seconds=1,
        metrics={"valid/blank_accuracy": value, "valid/loss": value},
    )  # fmt: skip
    return Outcome(status=status, reports=(report,))


def baselines(objective: Objective, outcomes: list[Outcome]) -> list[Finalist]:
    config = sweep_config(baseline=BaselineConfig(trials=len(outcomes)))
    jobs = list(baseline_jobs(config, candidates_of(config), ["tiny_demo"]))
    return best_baselines(objective, dict(enumerate(jobs)), dict(enumerate(outcomes)))


def search(outcomes: list[Outcome], objective: Objective = ACCURACY, count: int = 2) -> list[str]:
    config = sweep_config(confirm=dataclasses.replace(sweep_config().confirm, finalists=count))
    everything = candidates_of(config).all()
    assert everything is not None
    searched = {number: everything[number] for number in range(len(outcomes))}
    jobs = {number: search_job(number, candidate) for number, candidate in searched.items()}
    chosen = finalists(config, Objectives((objective,)), jobs, dict(enumerate(outcomes)), searched, {})
    return [entrant.name for entrant in chosen]


def search_job(number: int, candidate: Any) -> Job:
    return Job(
        number=number, kind="search", arm=f"trial {number}", params=candidate.values, run=candidate.run,
        num_params=candidate.num_params, flops_per_step=candidate.flops_per_step, may_prune=True,
    )  # fmt: skip


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


def test_a_finalist_with_a_presets_architecture_is_flagged() -> None:
    config = sweep_config(space=PRESET_SPACE)
    candidates = candidates_of(config)
    everything = candidates.all()
    assert everything is not None
    searched = dict(enumerate(everything))
    jobs = {number: search_job(number, candidate) for number, candidate in searched.items()}
    outcomes = {number: reached(0.5) for number in searched}
    presets = {"tiny_demo": candidates.preset("tiny_demo")}
    chosen = finalists(config, Objectives((ACCURACY,)), jobs, outcomes, searched, presets)
    assert [entrant.preset for entrant in chosen] == ["tiny_demo", "tiny_demo"]
    assert [
        entrant.preset for entrant in finalists(config, Objectives((ACCURACY,)), jobs, outcomes, searched, {})
    ] == [None] * 2


@pytest.mark.parametrize(("objective", "rate", "best"), [(ACCURACY, 1e-4, 0.9), (LOSS, 1e-3, 0.1)])
def test_a_baseline_enters_at_its_best_rate(objective: Objective, rate: float, best: float) -> None:
    """Three trials: the middle rate first, then the lowest and the highest."""
    [entrant] = baselines(objective, [reached(0.1), reached(0.9), reached(0.2)])
    assert (entrant.name, entrant.job.run.train.lr, entrant.objective) == ("tiny_demo", rate, best)


def test_a_rate_trained_twice_counts_by_its_mean_and_behind_if_one_failed() -> None:
    """Seven trials: all five rates, then the first two again."""
    once, again = [reached(v) for v in (0.5, 0.6, 0.3, 0.3, 0.3)], [reached(0.8), reached(0.2)]
    [entrant] = baselines(ACCURACY, once + again)
    assert (entrant.job.number, entrant.objective) == (0, pytest.approx(0.65))
    [entrant] = baselines(ACCURACY, [*once, Outcome(status="failed", error="x"), reached(0.2)])
    assert (entrant.job.number, entrant.objective) == (1, pytest.approx(0.4))


def test_a_baseline_of_which_all_failed_does_not_enter() -> None:
    failed = Outcome(status="failed", error="x")
    assert baselines(ACCURACY, [failed] * 3) == []
    [entrant] = baselines(ACCURACY, [failed, failed, reached(0.1)])
    assert entrant.job.number == 2


def test_every_arm_meets_the_same_fresh_seeds() -> None:
    config = sweep_config(seed=3)
    jobs = list(baseline_jobs(config, candidates_of(config), ["tiny_demo"]))
    arms = [Finalist(name=f"arm {job.number}", job=job, objective=0.5) for job in jobs]
    confirmations = list(confirmation_jobs(config, arms, 40))
    assert [job.number for job in confirmations] == list(range(40, 49))
    seeds = confirmation_seeds(3, config.confirm.seeds)
    assert [job.run.seed for job in confirmations] == [seed for seed in seeds for _ in arms]
    for job, arm in zip(confirmations, arms * 3, strict=True):
        assert (job.kind, job.read_test, job.may_prune) == ("confirm", True, False)
        assert dataclasses.replace(job.run, seed=arm.job.run.seed) == arm.job.run
        assert (job.arm, job.params, job.num_params) == (arm.job.arm, arm.job.params, arm.job.num_params)
