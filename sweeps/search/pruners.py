"""The pruners, all of them Optuna's. To add one: a function and a line in `PRUNERS`.

A trial's step in the study is the index of its report, 1 to `train.num_reports`, at equal fractions of its own run;
so pruners compare trials at the same fraction of their runs.
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
from sweeps.search.named_options import at_least, call_named
from sweeps.search.objectives import Objectives
from sweeps.search.pareto_front import is_as_good

UNWRAPPED = ("patient", "threshold", "none")
"""What `patient` does not wrap: itself, what needs options, what stops nothing."""
REMOVED = {"extrapolation": "patient", "wilcoxon": "median"}
"""Pruners that were removed, and which one to use instead."""


def build_pruner(section: Mapping[str, Any], num_reports: int) -> BasePruner:
    """Build the pruner of a config section.

    Args:
        section: `name` and that pruner's options.
        num_reports: reports of a whole run.

    Raises:
        UnknownNameError: no such pruner or option.
        ConfigError: an option is out of range, or the pruner was removed.
    """
    check_not_removed("pruner", section.get("name"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return call_named(PRUNERS, section, "pruner", num_reports)


def check_not_removed(where: str, name: object) -> None:
    """Check that a pruner is not one of earlier versions.

    Raises:
        ConfigError: it was removed; the message names the one to use instead.
    """
    if str(name) in REMOVED:
        raise ConfigError(where, name, "was removed", f"Use {where}={REMOVED[str(name)]} instead")


def grace_period(num_reports: int) -> int:
    """Return the first report at which a trial may be pruned by default: a fifth of a run, rounded up.

    The learning-rate warm-up (a tenth of a run by default) lies before it, and deep recurrence starts slowly.
    """
    return -(-num_reports // 5)


def _first_step(num_reports: int, option: str, given: int | None, least: int = 1) -> int:
    """Return the step at which a pruner compares trials first: the given one, or the grace period.

    Raises:
        ConfigError: it is below `least`, or no run trains beyond it.
    """
    if given is None:
        return max(least, grace_period(num_reports))
    at_least(f"pruner.{option}", given, least)
    _check_step(num_reports, option, given, given)
    return given


def _check_step(num_reports: int, option: str, given: int, step: int) -> None:
    """Check that a step, the first at which an option lets a pruner stop trials, comes before the end of a run.

    Raises:
        ConfigError: it does not, so no trial would ever be pruned.
    """
    if step >= num_reports:
        rule = f"nothing would be pruned before report {step}, and runs end at report {num_reports}"
        raise ConfigError(f"pruner.{option}", given, rule, "Give less, or more train.num_reports")


def hyperband(
    num_reports: int, *, min_resource: int | None = None, reduction_factor: int = 3, bootstrap_count: int = 0
) -> BasePruner:
    """Brackets of successive halving with different patience (Li et al., arXiv 1603.06560).

    Halving that is wary of slow starters: part of the trials is first looked at later.

    Args:
        min_resource: the report of the first rung; null is a fifth of a run's reports, rounded up. A later
            one spares late bloomers.
        reduction_factor: one of so many trials at a rung goes on, to a rung so many times as far.
        bootstrap_count: with at most so many trials at a rung, all are stopped there.
    """
    first = _first_step(num_reports, "min_resource", min_resource)
    at_least("pruner.reduction_factor", reduction_factor, 2)
    return HyperbandPruner(
        min_resource=first,
        max_resource=max(first, num_reports),
        reduction_factor=reduction_factor,
        bootstrap_count=bootstrap_count,
    )


def successive_halving(
    num_reports: int,
    *,
    min_resource: int | None = None,
    reduction_factor: int = 3,
    min_early_stopping_rate: int = 0,
    bootstrap_count: int = 0,
) -> BasePruner:
    """Asynchronous successive halving (Li et al., arXiv 1810.05934).

    Where compute is short and early ranks tell much: tries the most for its compute, and loses slow starters.

    Args:
        min_resource: the report of the first rung; null is a fifth of a run's reports, rounded up. A later
            one spares late bloomers.
        reduction_factor: one of so many trials at a rung goes on, to a rung so many times as far.
        min_early_stopping_rate: rungs that are left out at the start.
        bootstrap_count: with at most so many trials at a rung, all are stopped there.
    """
    first = _first_step(num_reports, "min_resource", min_resource)
    at_least("pruner.reduction_factor", reduction_factor, 2)
    if min_early_stopping_rate > 0:
        power = min(min_early_stopping_rate, num_reports)  # beyond the last report in any case
        _check_step(
            num_reports, "min_early_stopping_rate", min_early_stopping_rate, first * reduction_factor**power
        )
    return SuccessiveHalvingPruner(
        min_resource=first,
        reduction_factor=reduction_factor,
        min_early_stopping_rate=min_early_stopping_rate,
        bootstrap_count=bootstrap_count,
    )


def median(
    num_reports: int,
    *,
    n_startup_trials: int = 5,
    n_warmup_steps: int | None = None,
    interval_steps: int = 1,
    n_min_trials: int = 1,
) -> BasePruner:
    """Stops a trial whose best value is worse than the median of the completed ones at the same report.

    Where little may be lost: stops nothing before some have completed, then the worse half.

    Args:
        n_startup_trials: completed trials before any is stopped.
        n_warmup_steps: the first report at which one may be stopped; null is a fifth of a run's, rounded up.
        interval_steps: reports from one look to the next.
        n_min_trials: trials that must have made the same report.
    """
    return MedianPruner(
        n_startup_trials=n_startup_trials,
        n_warmup_steps=_first_step(num_reports, "n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
        n_min_trials=n_min_trials,
    )


def percentile(
    num_reports: int,
    *,
    percentile: float = 25.0,
    n_startup_trials: int = 5,
    n_warmup_steps: int | None = None,
    interval_steps: int = 1,
    n_min_trials: int = 1,
) -> BasePruner:
    """Keeps a trial while its best value is within the best `percentile` percent of the completed ones.

    As `median`, stricter or milder.

    Args:
        percentile: 50 is the median; 25 keeps the best quarter.
        n_startup_trials: completed trials before any is stopped.
        n_warmup_steps: the first report at which one may be stopped; null is a fifth of a run's, rounded up.
        interval_steps: reports from one look to the next.
        n_min_trials: trials that must have made the same report.
    """
    return PercentilePruner(
        percentile,
        n_startup_trials=n_startup_trials,
        n_warmup_steps=_first_step(num_reports, "n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
        n_min_trials=n_min_trials,
    )


def threshold(
    num_reports: int,
    *,
    lower: float | None = None,
    upper: float | None = None,
    n_warmup_steps: int | None = None,
    interval_steps: int = 1,
) -> BasePruner:
    """Stops a trial whose value lies below `lower` or above `upper`.

    Where you know a value that no sound run has after its start.

    Args:
        lower: null is no bound; one of the two must be given.
        upper: likewise.
        n_warmup_steps: the first report at which one may be stopped; null is a fifth of a run's, rounded up.
        interval_steps: reports from one look to the next.
    """
    if lower is None and upper is None:
        raise ConfigError("pruner", {"name": "threshold"}, "needs pruner.lower, pruner.upper or both")
    return ThresholdPruner(
        lower=lower,
        upper=upper,
        n_warmup_steps=_first_step(num_reports, "n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
    )


def patient(
    num_reports: int, *, wrapped: str | None = "hyperband", patience: int = 1, min_delta: float = 0.0
) -> BasePruner:
    """Stops a trial that another pruner would stop and that does not improve; null: any that does not.

    Where no curve that still rises may be cut; stops little.

    Args:
        wrapped: the other pruner, by name, with its defaults: one that compares trials; null is none.
        patience: the best of so many last reports, and one more, is held against the best before.
        min_delta: by how much it must lie behind.
    """
    check_not_removed("pruner.wrapped", wrapped)
    known = [name for name in PRUNERS if name not in UNWRAPPED]
    if wrapped is not None and wrapped not in known:
        raise UnknownNameError.among("pruner.wrapped", wrapped, known)
    if patience > 1:  # the default is nobody's wish, and stops nothing in the shortest runs
        _check_step(num_reports, "patience", patience, patience + 2)
    inner = None if wrapped is None else build_pruner({"name": wrapped}, num_reports)
    return PatientPruner(inner, patience=patience, min_delta=min_delta)


def none(num_reports: int) -> BasePruner:
    """Trains every trial to its end.

    Where every curve is wanted whole, such as for a table or a scaling law.
    """
    return NopPruner()


PRUNERS: dict[str, Callable[..., BasePruner]] = {
    "hyperband": hyperband,
    "successive_halving": successive_halving,
    "median": median,
    "percentile": percentile,
    "threshold": threshold,
    "patient": patient,
    "none": none,
}


# Pruning with several objectives: by the first, against the trials that are no worse in all others. Optuna's pruners
# compare one value per trial, and Optuna takes no reports in a study of several objectives. So the objectives at each
# report are kept in the trial's own attributes, and a pruner is shown a study of the first objective alone that holds
# only comparable trials: those that were no worse in every other objective at the same report. What it prunes is
# dominated there; a small model is never stopped for learning less than larger ones.

_PREFIX = "mark:"
"""How the attributes begin that hold the objectives at a report; journals of earlier versions have them too."""


def write_values(
    storage: BaseStorage, trial_id: int, trial: FrozenTrial, values: Mapping[int, Sequence[float]]
) -> None:
    """Store the objectives of a running trial by step, except for steps that it has already."""
    stored = read_values(trial)
    for step, at_step in values.items():
        if step not in stored:
            storage.set_trial_system_attr(trial_id, f"{_PREFIX}{step}", list(at_step))


def read_values(trial: FrozenTrial) -> dict[int, list[float]]:
    """Return the objectives of a trial by step."""
    attributes = trial.system_attrs.items()
    return {int(name.removeprefix(_PREFIX)): value for name, value in attributes if name.startswith(_PREFIX)}


def show_first_objective(trial: FrozenTrial) -> FrozenTrial:
    """Return the trial as one of a study that has the first objective only."""
    shown = copy.copy(trial)
    shown.intermediate_values = {step: values[0] for step, values in read_values(trial).items()}
    shown.values = None if trial.values is None else trial.values[:1]
    return shown


def is_comparable(other: FrozenTrial, trial: FrozenTrial, objectives: Objectives) -> bool:
    """Return whether another trial was no worse in every objective but the first at the trial's last step."""
    mine, theirs = read_values(trial), read_values(other)
    last = max(mine, default=0)
    if last not in mine or last not in theirs:
        return False
    return is_as_good(objectives.point(theirs[last])[1:], objectives.point(mine[last])[1:])
