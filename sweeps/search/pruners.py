"""The pruners, all of them Optuna's. To add one: a function and a line in `PRUNERS`.

A trial's step in the study is the index of a validation, 1 to `train.num_reports`, at equal fractions of its own
run; so pruners compare trials at the same fraction of their runs.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from hrm.config.errors import ConfigError, UnknownNameError
from sweeps.config import build_named, check_at_least
from sweeps.search.objectives import Objectives
from sweeps.search.pareto_front import is_as_good

UNWRAPPED = ("patient", "threshold", "none")
"""Pruners that `patient` does not wrap: itself, one that needs options, one that stops nothing."""
REMOVED = {"extrapolation": "patient", "wilcoxon": "median"}
"""Pruners that were removed, and which one to use instead."""


def build_pruner(section: Mapping[str, Any], num_reports: int) -> BasePruner:
    """Build the pruner of a config section.

    Args:
        section: `name` and that pruner's options.
        num_reports: validations of a whole run.

    Raises:
        UnknownNameError: no such pruner or option.
        ConfigError: an option is out of range, or the pruner was removed.

    >>> type(build_pruner({"name": "median", "n_startup_trials": 3}, num_reports=10)).__name__
    'MedianPruner'
    >>> build_pruner({"name": "medain"}, num_reports=10)
    Traceback (most recent call last):
    hrm.config.errors.UnknownNameError: pruner.name: given 'medain'; must be one of: ... Did you mean 'median'?
    """
    check_not_removed("pruner", section.get("name"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return build_named(PRUNERS, section, "pruner", num_reports)


def check_not_removed(where: str, name: object) -> None:
    """Check that a pruner is not one of earlier versions.

    Raises:
        ConfigError: it was removed; the message names the one to use instead.

    >>> check_not_removed("pruner", "wilcoxon")
    Traceback (most recent call last):
    hrm.config.errors.ConfigError: pruner: given 'wilcoxon'; was removed. Use pruner=median instead
    """
    if str(name) in REMOVED:
        raise ConfigError(where, name, "was removed", f"Use {where}={REMOVED[str(name)]} instead")


def get_grace_period(num_reports: int) -> int:
    """Return the first step at which a trial may be pruned by default: a fifth of a run, rounded up.

    The learning-rate warm-up (a tenth of a run by default) is over by then, and deep recurrence starts slowly.

    >>> get_grace_period(10), get_grace_period(11)
    (2, 3)
    """
    return -(-num_reports // 5)


def _get_first_step(num_reports: int, option: str, given: int | None, least: int = 1) -> int:
    """Return the step at which a pruner first compares trials: the given one, or the grace period.

    Raises:
        ConfigError: it is below `least`, or no run trains beyond it.
    """
    if given is None:
        return max(least, get_grace_period(num_reports))
    check_at_least(f"pruner.{option}", given, least)
    _check_step(num_reports, option, given, given)
    return given


def _check_step(num_reports: int, option: str, given: int, step: int) -> None:
    """Check that a step, the first at which an option lets a pruner stop trials, comes before the end of a run.

    Raises:
        ConfigError: it does not, and no trial would ever be pruned.
    """
    if step >= num_reports:
        rule = f"nothing would be pruned before validation {step}, and runs end at validation {num_reports}"
        raise ConfigError(f"pruner.{option}", given, rule, "Give less, or more train.num_reports")


def build_hyperband(
    num_reports: int, *, min_resource: int | None = None, reduction_factor: int = 3, bootstrap_count: int = 0
) -> BasePruner:
    """Run brackets of successive halving with different grace periods (Li et al., arXiv 1603.06560).

    If some trials start slowly: a part of the trials is first compared later.

    Args:
        min_resource: the validation of the first rung; null is a fifth of a run's, rounded up. A later one stops
            fewer slow starters.
        reduction_factor: one of that many trials at a rung continues, to a rung that many times as far.
        bootstrap_count: while a rung has at most that many trials, all are stopped there.
    """
    first = _get_first_step(num_reports, "min_resource", min_resource)
    check_at_least("pruner.reduction_factor", reduction_factor, 2)
    return HyperbandPruner(
        min_resource=first,
        max_resource=max(first, num_reports),
        reduction_factor=reduction_factor,
        bootstrap_count=bootstrap_count,
    )


def build_successive_halving(
    num_reports: int,
    *,
    min_resource: int | None = None,
    reduction_factor: int = 3,
    min_early_stopping_rate: int = 0,
    bootstrap_count: int = 0,
) -> BasePruner:
    """Run asynchronous successive halving (Li et al., arXiv 1810.05934).

    If compute is scarce and early ranks are reliable: tries most configurations, but loses slow starters.

    Args:
        min_resource: the validation of the first rung; null is a fifth of a run's, rounded up. A later one stops
            fewer slow starters.
        reduction_factor: one of that many trials at a rung continues, to a rung that many times as far.
        min_early_stopping_rate: rungs that are left out at the start.
        bootstrap_count: while a rung has at most that many trials, all are stopped there.
    """
    first = _get_first_step(num_reports, "min_resource", min_resource)
    check_at_least("pruner.reduction_factor", reduction_factor, 2)
    if min_early_stopping_rate > 0:
        power = min(min_early_stopping_rate, num_reports)  # beyond the last validation in any case
        _check_step(
            num_reports, "min_early_stopping_rate", min_early_stopping_rate, first * reduction_factor**power
        )
    return SuccessiveHalvingPruner(
        min_resource=first,
        reduction_factor=reduction_factor,
        min_early_stopping_rate=min_early_stopping_rate,
        bootstrap_count=bootstrap_count,
    )


def build_median(
    num_reports: int,
    *,
    n_startup_trials: int = 5,
    n_warmup_steps: int | None = None,
    interval_steps: int = 1,
    n_min_trials: int = 1,
) -> BasePruner:
    """Stop a trial whose best value is worse than the median of the completed ones at the same validation.

    If few good trials may be lost: stops none before some have completed, then the worse half.

    Args:
        n_startup_trials: completed trials before any is stopped.
        n_warmup_steps: the first validation at which one may be stopped; null is a fifth of a run's, rounded up.
        interval_steps: validations from one comparison to the next.
        n_min_trials: trials that must have reached the same validation.
    """
    return MedianPruner(
        n_startup_trials=n_startup_trials,
        n_warmup_steps=_get_first_step(num_reports, "n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
        n_min_trials=n_min_trials,
    )


def build_percentile(
    num_reports: int,
    *,
    percentile: float = 25.0,
    n_startup_trials: int = 5,
    n_warmup_steps: int | None = None,
    interval_steps: int = 1,
    n_min_trials: int = 1,
) -> BasePruner:
    """Keep a trial while its best value is within the best `percentile` percent of the completed ones.

    Like `median`, but stricter or milder.

    Args:
        percentile: 50 is the median; 25 keeps the best quarter.
        n_startup_trials: completed trials before any is stopped.
        n_warmup_steps: the first validation at which one may be stopped; null is a fifth of a run's, rounded up.
        interval_steps: validations from one comparison to the next.
        n_min_trials: trials that must have reached the same validation.
    """
    return PercentilePruner(
        percentile,
        n_startup_trials=n_startup_trials,
        n_warmup_steps=_get_first_step(num_reports, "n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
        n_min_trials=n_min_trials,
    )


def build_threshold(
    num_reports: int,
    *,
    lower: float | None = None,
    upper: float | None = None,
    n_warmup_steps: int | None = None,
    interval_steps: int = 1,
) -> BasePruner:
    """Stop a trial whose value is below `lower` or above `upper`.

    If you know a value that no good run has after its start.

    Args:
        lower: null is no bound; one of the two must be given.
        upper: null is no bound.
        n_warmup_steps: the first validation at which one may be stopped; null is a fifth of a run's, rounded up.
        interval_steps: validations from one comparison to the next.
    """
    if lower is None and upper is None:
        raise ConfigError("pruner", {"name": "threshold"}, "needs pruner.lower, pruner.upper or both")
    return ThresholdPruner(
        lower=lower,
        upper=upper,
        n_warmup_steps=_get_first_step(num_reports, "n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
    )


def build_patient(
    num_reports: int, *, wrapped: str | None = "hyperband", patience: int = 1, min_delta: float = 0.0
) -> BasePruner:
    """Stop a trial that another pruner would stop and that does not improve; null: any that does not.

    If no run that still improves may be stopped; stops few trials.

    Args:
        wrapped: the other pruner, by name, with its defaults: one that compares trials; null is none.
        patience: the best of that many last validations, and one more, is compared with the best before them.
        min_delta: difference by which it must be worse.
    """
    check_not_removed("pruner.wrapped", wrapped)
    known = [name for name in PRUNERS if name not in UNWRAPPED]
    if wrapped is not None and wrapped not in known:
        raise UnknownNameError.among("pruner.wrapped", wrapped, known)
    if patience > 1:  # the default is not the user's choice, and may stop nothing in very short runs
        _check_step(num_reports, "patience", patience, patience + 2)
    inner = None if wrapped is None else build_pruner({"name": wrapped}, num_reports)
    return PatientPruner(inner, patience=patience, min_delta=min_delta)


def build_none(num_reports: int) -> BasePruner:
    """Train every trial to its end.

    If you need every learning curve to its end, for example for a table or a scaling law.
    """
    return NopPruner()


PRUNERS: dict[str, Callable[..., BasePruner]] = {
    "hyperband": build_hyperband,
    "successive_halving": build_successive_halving,
    "median": build_median,
    "percentile": build_percentile,
    "threshold": build_threshold,
    "patient": build_patient,
    "none": build_none,
}


# Pruning with several objectives: by the first, among the trials that are no worse in all others. Optuna's pruners
# compare one value per trial, and Optuna takes no intermediate values in a study of several objectives. So the
# objectives at each step are kept in the trial's own attributes, and a pruner is shown a study of the first objective
# alone that holds only comparable trials: those that were no worse in every other objective at the same step. A trial
# that it stops is dominated there; a small model is never stopped for learning less than larger ones.

_PREFIX = "mark:"
"""Prefix of the attributes with the objectives at a step, the same as in the journals of earlier versions."""


def write_values(
    storage: BaseStorage, trial_id: int, trial: FrozenTrial, values: Mapping[int, Sequence[float]]
) -> None:
    """Store the objectives of a running trial by step, except for steps that it has already.

    >>> import optuna
    >>> storage = optuna.storages.InMemoryStorage()
    >>> study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    >>> trial = study.ask()
    >>> write_values(storage, 0, study.get_trials()[0], {1: [0.25, 900]})
    >>> read_values(study.get_trials()[0])
    {1: [0.25, 900]}
    """
    stored = read_values(trial)
    for step, at_step in values.items():
        if step not in stored:
            storage.set_trial_system_attr(trial_id, f"{_PREFIX}{step}", list(at_step))


def read_values(trial: FrozenTrial) -> dict[int, list[float]]:
    """Return the objectives of a trial by step.

    >>> from optuna.trial import create_trial
    >>> trial = create_trial(values=[0.5, 900], system_attrs={"mark:1": [0.25, 900], "mark:2": [0.5, 900]})
    >>> read_values(trial)
    {1: [0.25, 900], 2: [0.5, 900]}
    """
    attributes = trial.system_attrs.items()
    return {int(name.removeprefix(_PREFIX)): value for name, value in attributes if name.startswith(_PREFIX)}


def show_first_objective(trial: FrozenTrial) -> FrozenTrial:
    """Return the trial as one of a study that has the first objective only.

    >>> from optuna.trial import create_trial
    >>> trial = create_trial(values=[0.5, 900], system_attrs={"mark:1": [0.25, 900], "mark:2": [0.5, 900]})
    >>> show_first_objective(trial).intermediate_values
    {1: 0.25, 2: 0.5}
    """
    shown = copy.copy(trial)
    shown.intermediate_values = {step: values[0] for step, values in read_values(trial).items()}
    shown.values = None if trial.values is None else trial.values[:1]
    return shown


def is_comparable(other: FrozenTrial, trial: FrozenTrial, objectives: Objectives) -> bool:
    """Return whether another trial was no worse in every objective but the first at the trial's last step.

    >>> from optuna.trial import create_trial
    >>> from sweeps.search.objectives import parse_objectives
    >>> objectives = Objectives(parse_objectives(["valid/exact_accuracy", "params"]))
    >>> small, large = (create_trial(values=[1, 1], system_attrs={"mark:1": [0.5, size]}) for size in (400, 900))
    >>> is_comparable(small, large, objectives), is_comparable(large, small, objectives)
    (True, False)
    """
    mine, theirs = read_values(trial), read_values(other)
    last = max(mine, default=0)
    if last not in mine or last not in theirs:
        return False
    return is_as_good(objectives.make_point(theirs[last])[1:], objectives.make_point(mine[last])[1:])
