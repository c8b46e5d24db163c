"""The pruners: Optuna's own and one more, with their resource counted in marks. To add one: a function and a line.

A mark is a report, 1 to `num_reports`, at equal fractions of a trial's own length; under another `pruning.fidelity`
it is an amount, of which a whole run has about as many (see `sweeps.search.marks`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
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

from hrm.errors import ConfigError
from sweeps.search.batch_wilcoxon import BatchWilcoxonPruner
from sweeps.search.extrapolation import ExtrapolationPruner
from sweeps.search.options import at_least, call_named

WILCOXON = "wilcoxon"
"""The pruner that is told the objective of every validation batch."""


def build_pruner(section: Mapping[str, Any], num_reports: int) -> BasePruner:
    """The pruner of a config section.

    Args:
        section: `name` and that pruner's options.
        num_reports: reports of a whole trial.

    Raises:
        UnknownNameError: no such pruner or option.
        ConfigError: an option is out of range.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return call_named(PRUNERS, section, "pruner", num_reports)


def grace(num_reports: int) -> int:
    """The first report at which a trial may be pruned unless told otherwise: a fifth of a run, rounded up.

    Before it lies the warm-up (a tenth by default), and deep recurrence starts slowly.
    """
    return -(-num_reports // 5)


def hyperband(
    num_reports: int, *, min_resource: int | None = None, reduction_factor: int = 3, bootstrap_count: int = 0
) -> BasePruner:
    """Brackets of successive halving with different patience (Li et al., arXiv 1603.06560).

    Halving that is wary of slow starters: part of the trials is first looked at later.

    Args:
        min_resource: the mark of the first rung; null is a fifth of the marks, rounded up. A later one
            spares late bloomers.
        reduction_factor: one of so many trials at a rung goes on, to a rung so many times as far.
        bootstrap_count: with at most so many trials at a rung, all are stopped there.
    """
    first = grace(num_reports) if min_resource is None else min_resource
    at_least("pruner.min_resource", first, 1)
    at_least("pruner.reduction_factor", reduction_factor, 2)
    if first > num_reports:
        raise ConfigError("pruner.min_resource", first, f"must be at most train.num_reports={num_reports}")
    return HyperbandPruner(
        min_resource=first,
        max_resource=num_reports,
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
        min_resource: the mark of the first rung; null is a fifth of the marks, rounded up. A later one
            spares late bloomers.
        reduction_factor: one of so many trials at a rung goes on, to a rung so many times as far.
        min_early_stopping_rate: rungs that are left out at the start.
        bootstrap_count: with at most so many trials at a rung, all are stopped there.
    """
    first = grace(num_reports) if min_resource is None else min_resource
    at_least("pruner.min_resource", first, 1)
    at_least("pruner.reduction_factor", reduction_factor, 2)
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
        n_warmup_steps: the first mark at which one may be stopped; null is a fifth of the marks, rounded up.
        interval_steps: marks from one look to the next.
        n_min_trials: trials that must have been at the mark.
    """
    return MedianPruner(
        n_startup_trials=n_startup_trials,
        n_warmup_steps=grace(num_reports) if n_warmup_steps is None else n_warmup_steps,
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
        n_warmup_steps: the first mark at which one may be stopped; null is a fifth of the marks, rounded up.
        interval_steps: marks from one look to the next.
        n_min_trials: trials that must have been at the mark.
    """
    return PercentilePruner(
        percentile,
        n_startup_trials=n_startup_trials,
        n_warmup_steps=grace(num_reports) if n_warmup_steps is None else n_warmup_steps,
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
        n_warmup_steps: the first mark at which one may be stopped; null is a fifth of the marks, rounded up.
        interval_steps: marks from one look to the next.
    """
    if lower is None and upper is None:
        raise ConfigError("pruner", {"name": "threshold"}, "needs pruner.lower, pruner.upper or both")
    return ThresholdPruner(
        lower=lower,
        upper=upper,
        n_warmup_steps=grace(num_reports) if n_warmup_steps is None else n_warmup_steps,
        interval_steps=interval_steps,
    )


def patient(
    num_reports: int, *, wrapped: str | None = "hyperband", patience: int = 1, min_delta: float = 0.0
) -> BasePruner:
    """Stops a trial that another pruner would stop and that does not improve; null: any that does not.

    Where no curve that still rises may be cut; stops little.

    Args:
        wrapped: the other pruner, by name, with its defaults; null is none.
        patience: the best of so many last marks, and one more, is held against the best before.
        min_delta: by how much it must lie behind.
    """
    inner = None if wrapped is None else build_pruner({"name": wrapped}, num_reports)
    return PatientPruner(inner, patience=patience, min_delta=min_delta)


def extrapolation(
    num_reports: int, *, n_startup_trials: int = 4, first_mark: int | None = None, margin: float = 1.0
) -> BasePruner:
    """Stops a trial whose learning curve, drawn out to its end, stays behind the best.

    Where curves are smooth and cross late. It did not help on this project's own curves.

    Args:
        n_startup_trials: completed trials before any is stopped, at least 2.
        first_mark: where one may be stopped first, at least 2; null is a fifth of the marks, rounded up.
        margin: standard errors by which the predicted end must lie behind the best.
    """
    at_least("pruner.n_startup_trials", n_startup_trials, 2)
    first = max(2, grace(num_reports)) if first_mark is None else first_mark
    at_least("pruner.first_mark", first, 2)
    return ExtrapolationPruner(n_startup_trials, first, margin)


def wilcoxon(
    num_reports: int,
    *,
    p_threshold: float = 0.1,
    num_startup_batches: int = 2,
    first_report: int | None = None,
) -> BasePruner:
    """Stops a trial that is worse than the best on the same validation batches (a signed-rank test).

    Where differences are small beside those between puzzles; needs at least 5 validation batches.

    Args:
        p_threshold: stops below it; every report tests anew, so it is no error rate of the run.
        num_startup_batches: fewest batches to be compared.
        first_report: the first that is tested; null is a fifth of the marks, rounded up.
    """
    first = grace(num_reports) if first_report is None else first_report
    return BatchWilcoxonPruner(p_threshold, num_startup_batches, first)


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
    "extrapolation": extrapolation,
    WILCOXON: wilcoxon,
    "none": none,
}
