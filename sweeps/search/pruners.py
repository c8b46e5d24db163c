"""The pruners: Optuna's own and one more, with their resource counted in marks. To add one: a function and a line.

A mark is a report, 1 to `num_reports`, at equal fractions of a trial's own length; under another `pruning.fidelity`
it is an amount, of which a whole run has about as many (see `sweeps.search.rungs`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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

from hrm.config.errors import ConfigError, UnknownNameError
from sweeps.search.batch_wilcoxon import BatchWilcoxonPruner
from sweeps.search.extrapolation import ExtrapolationPruner
from sweeps.search.named_options import at_least, call_named

WILCOXON = "wilcoxon"
"""The pruner that is told the objective of every validation batch."""
UNWRAPPED = ("patient", "threshold", WILCOXON, "none")
"""What `patient` does not wrap: itself, what needs options, what is told batches, and what stops nothing."""


class Length(NamedTuple):
    """How long runs are, in marks."""

    num_reports: int
    """Marks of a whole run."""
    is_most: bool = True
    """Whether no run has more."""

    def first(self, option: str, given: int | None, least: int = 1) -> int:
        """The mark at which a pruner compares trials first: the one given for an option, or the `grace`.

        Raises:
            ConfigError: see `check`; or it is below `least`.
        """
        if given is None:
            return max(least, grace(self.num_reports))
        at_least(f"pruner.{option}", given, least)
        self.check(option, given, given)
        return given

    def check(self, option: str, given: int, mark: int) -> None:
        """Makes sure that trials are compared at a mark, the first for which an option provides.

        Raises:
            ConfigError: no run goes on from there, so that none would ever be pruned.
        """
        if self.is_most and mark >= self.num_reports:
            rule = f"nothing would be pruned before mark {mark}, and runs end at mark {self.num_reports}"
            raise ConfigError(f"pruner.{option}", given, rule, "Give less, or more train.num_reports")


def build_pruner(section: Mapping[str, Any], length: Length) -> BasePruner:
    """The pruner of a config section.

    Args:
        section: `name` and that pruner's options.
        length: how long the sweep's runs are.

    Raises:
        UnknownNameError: no such pruner or option.
        ConfigError: an option is out of range.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return call_named(PRUNERS, section, "pruner", length)


def grace(num_reports: int) -> int:
    """The first report at which a trial may be pruned unless told otherwise: a fifth of a run, rounded up.

    Before it lies the warm-up (a tenth by default), and deep recurrence starts slowly.
    """
    return -(-num_reports // 5)


def hyperband(
    length: Length, *, min_resource: int | None = None, reduction_factor: int = 3, bootstrap_count: int = 0
) -> BasePruner:
    """Brackets of successive halving with different patience (Li et al., arXiv 1603.06560).

    Halving that is wary of slow starters: part of the trials is first looked at later.

    Args:
        min_resource: the mark of the first rung; null is a fifth of the marks, rounded up. A later one
            spares late bloomers.
        reduction_factor: one of so many trials at a rung goes on, to a rung so many times as far.
        bootstrap_count: with at most so many trials at a rung, all are stopped there.
    """
    first = length.first("min_resource", min_resource)
    at_least("pruner.reduction_factor", reduction_factor, 2)
    return HyperbandPruner(
        min_resource=first,
        max_resource=max(first, length.num_reports),
        reduction_factor=reduction_factor,
        bootstrap_count=bootstrap_count,
    )


def successive_halving(
    length: Length,
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
    first = length.first("min_resource", min_resource)
    at_least("pruner.reduction_factor", reduction_factor, 2)
    if min_early_stopping_rate > 0:
        power = min(min_early_stopping_rate, length.num_reports)  # beyond the last mark in any case
        length.check("min_early_stopping_rate", min_early_stopping_rate, first * reduction_factor**power)
    return SuccessiveHalvingPruner(
        min_resource=first,
        reduction_factor=reduction_factor,
        min_early_stopping_rate=min_early_stopping_rate,
        bootstrap_count=bootstrap_count,
    )


def median(
    length: Length,
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
        n_warmup_steps=length.first("n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
        n_min_trials=n_min_trials,
    )


def percentile(
    length: Length,
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
        n_warmup_steps=length.first("n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
        n_min_trials=n_min_trials,
    )


def threshold(
    length: Length,
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
        n_warmup_steps=length.first("n_warmup_steps", n_warmup_steps, 0),
        interval_steps=interval_steps,
    )


def patient(
    length: Length, *, wrapped: str | None = "hyperband", patience: int = 1, min_delta: float = 0.0
) -> BasePruner:
    """Stops a trial that another pruner would stop and that does not improve; null: any that does not.

    Where no curve that still rises may be cut; stops little.

    Args:
        wrapped: the other pruner, by name, with its defaults: one that compares marks; null is none.
        patience: the best of so many last marks, and one more, is held against the best before.
        min_delta: by how much it must lie behind.
    """
    known = [name for name in PRUNERS if name not in UNWRAPPED]
    if wrapped is not None and wrapped not in known:
        raise UnknownNameError.among("pruner.wrapped", wrapped, known)
    if patience > 1:  # the default is nobody's wish, and stops nothing in the shortest runs
        length.check("patience", patience, patience + 2)
    inner = None if wrapped is None else build_pruner({"name": wrapped}, length)
    return PatientPruner(inner, patience=patience, min_delta=min_delta)


def extrapolation(
    length: Length, *, n_startup_trials: int = 4, first_mark: int | None = None, margin: float = 1.0
) -> BasePruner:
    """Stops a trial whose learning curve, drawn out to its end, stays behind the best.

    Where curves are smooth and cross late. It did not help on this project's own curves.

    Args:
        n_startup_trials: completed trials before any is stopped, at least 2.
        first_mark: where one may be stopped first, at least 2; null is a fifth of the marks, rounded up.
        margin: standard errors by which the predicted end must lie behind the best, 0 or more.
    """
    at_least("pruner.n_startup_trials", n_startup_trials, 2)
    at_least("pruner.margin", margin, 0)
    first = length.first("first_mark", first_mark, 2)
    return ExtrapolationPruner(n_startup_trials, first, margin)


def wilcoxon(
    length: Length,
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
    first = length.first("first_report", first_report)
    return BatchWilcoxonPruner(p_threshold, num_startup_batches, first)


def none(length: Length) -> BasePruner:
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
