"""Searches with Optuna and Ray Tune alone, as their users write them, on problems that are looked up.

Such a user gives Optuna grids and lists as choices, finds out inside the trial that a model does not fit the budget
(and ends it, at no cost), and trains twice what is suggested twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState


class Problem(Protocol):
    """A table that is searched for its smallest value."""

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """The searched values: ranges of integers and lists of choices."""

    def look_up(self, params: Mapping[str, Any], seed: int) -> tuple[Any, Sequence[float]] | None:
        """Return the configuration and its values at equal parts of a run; None if it does not fit."""


@dataclass(frozen=True)
class Step:
    """A trial that was trained, in part or whole."""

    cell: Any
    """The configuration."""
    runs: float
    """What it cost, in whole runs."""
    value: float | None
    """At its end; None for a trial that was stopped."""


Policy = Callable[[Problem, int, int], list[Step]]
"""Searches until that many whole runs are spent, under a seed."""

MOST_ASKED = 20_000
"""Suggestions, most of which cost nothing, before a search counts as stuck."""


def run_optuna_tpe_median(problem: Problem, budget: int, seed: int) -> list[Step]:
    """Run `optuna.create_study()` with its defaults and median pruner; what does not fit raises `TrialPruned`."""
    return _run_optuna(
        problem, budget, seed, optuna.samplers.TPESampler(seed=seed), optuna.pruners.MedianPruner()
    )


def run_optuna_tpe(problem: Problem, budget: int, seed: int) -> list[Step]:
    """Run the same without a pruner."""
    return _run_optuna(
        problem, budget, seed, optuna.samplers.TPESampler(seed=seed), optuna.pruners.NopPruner()
    )


def run_optuna_random(problem: Problem, budget: int, seed: int) -> list[Step]:
    """Run Optuna's random sampler: all points are equally likely, so an architecture with several points more so."""
    return _run_optuna(
        problem, budget, seed, optuna.samplers.RandomSampler(seed=seed), optuna.pruners.NopPruner()
    )


def run_optuna_grid(problem: Problem, budget: int, seed: int) -> list[Step]:
    """Run Optuna's grid, in its random order."""
    grid = {name: _list_values(one) for name, one in problem.distributions.items()}
    return _run_optuna(
        problem, budget, seed, optuna.samplers.GridSampler(grid, seed=seed), optuna.pruners.NopPruner()
    )


def run_ray_optuna_asha(problem: Problem, budget: int, seed: int) -> list[Step]:
    """Run Ray's `OptunaSearch` under its `ASHAScheduler`; a trial that does not fit ends in an error."""
    from ray.tune.experiment import Trial
    from ray.tune.schedulers import ASHAScheduler, TrialScheduler
    from ray.tune.search.optuna import OptunaSearch

    searcher: Any = OptunaSearch(dict(problem.distributions), metric="value", mode="min", seed=seed)
    scheduler: Any = None
    steps: list[Step] = []
    for number in range(MOST_ASKED):
        if sum(step.runs for step in steps) >= budget:
            return steps
        trial = Trial("stored", trial_id=str(number), stub=True)
        params = searcher.suggest(trial.trial_id)
        found = problem.look_up(params, seed)
        if found is None:
            searcher.on_trial_complete(trial.trial_id, error=True)
            continue
        cell, values = found
        scheduler = scheduler or ASHAScheduler(metric="value", mode="min", max_t=len(values))
        scheduler.on_trial_add(None, trial)
        for iteration, value in enumerate(values, 1):
            result = {"training_iteration": iteration, "value": value}
            if iteration == len(values):
                scheduler.on_trial_complete(None, trial, result)
                steps.append(Step(cell, 1.0, value))
            elif scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
                scheduler.on_trial_remove(None, trial)
                steps.append(Step(cell, iteration / len(values), None))
            else:
                searcher.on_trial_result(trial.trial_id, result)
                continue
            searcher.on_trial_complete(trial.trial_id, result)
            break
    return steps


def _run_optuna(
    problem: Problem,
    budget: int,
    seed: int,
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
) -> list[Step]:
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    steps: list[Step] = []
    for _ in range(MOST_ASKED):
        if sum(step.runs for step in steps) >= budget:
            break
        trial = study.ask(dict(problem.distributions))
        found = problem.look_up(trial.params, seed)
        if found is None:
            study.tell(trial, state=TrialState.PRUNED)
            continue
        cell, values = found
        for iteration, value in enumerate(values, 1):
            trial.report(value, iteration)
            if iteration < len(values) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                steps.append(Step(cell, iteration / len(values), None))
                break
        else:
            study.tell(trial, values[-1])
            steps.append(Step(cell, 1.0, values[-1]))
    return steps


def _list_values(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return list(range(distribution.low, distribution.high + 1, distribution.step))
