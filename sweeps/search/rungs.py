"""Where in their runs a pruner compares trials: marks, and what a trial had reached at each.

A pruner compares the trials that have a value at the same mark. So a mark means the same in all of them: a
fraction of each one's own run, or an amount of something that runs spend at different rates.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from operator import attrgetter

import numpy as np

from hrm.config.errors import ConfigError
from sweeps.config import SweepConfig
from sweeps.events import Validation
from sweeps.search.batch_wilcoxon import mark
from sweeps.search.objectives import Objective
from sweeps.search.pruners import WILCOXON, Length
from sweeps.space.candidates import Candidates

Marks = Callable[[Sequence[Validation]], dict[int, float]]
"""From a trial's reports so far to the objective by mark, from 1, at every mark that it has reached."""

SPENT = {"steps": "step", "flops": "train_flops", "seconds": "train_seconds"}
"""What a report says of an amount."""
DRAWS = 64
"""Runs drawn from a space to learn how long they are."""


def marks(
    config: SweepConfig,
    candidates: Candidates,
    objective: Objective,
    first_completed: Callable[[], Validation | None],
) -> Marks:
    """The marks of a sweep, as `pruning.fidelity` says: for an amount, `train.num_reports` in a whole run.

    A whole run is the longest of some that are drawn from the space or, in seconds, the first that was completed.

    Args:
        objective: what is wanted at each mark.
        first_completed: the last report of that run; None before there is one.

    Raises:
        ConfigError: the pruner compares nothing else than fractions.
    """
    fidelity, num = config.pruning.fidelity, config.train.num_reports
    if config.pruner["name"] == WILCOXON:
        if fidelity != "fraction":
            rule = "pruner=wilcoxon compares the batches of one validation, at a fraction of each run"
            raise ConfigError("pruning.fidelity", fidelity, rule, "Leave it out")
        return lambda reports: _by_batch(objective, reports)
    if fidelity == "fraction":
        return lambda reports: _curve(objective, reports)
    spent = attrgetter(SPENT[fidelity])
    longest = _longest(candidates, fidelity) if fidelity != "seconds" else None

    def at_amounts(reports: Sequence[Validation]) -> dict[int, float]:
        completed = first_completed() if longest is None else None
        whole = longest if completed is None else spent(completed)
        curve = _curve(objective, reports)
        if whole is None or not curve:
            return {}
        known = [report for report in reports if report.index in curve]
        return _at_equal_amounts(
            [spent(report) for report in known], list(curve.values()), known[-1].step, whole / num
        )

    return at_amounts


def length(config: SweepConfig) -> Length:
    """How long a sweep's runs are: where they spend alike, none has more marks than another."""
    alike = config.pruning.fidelity in ("fraction", config.train.equal)
    return Length(config.train.num_reports, is_most=alike)


def _curve(objective: Objective, reports: Sequence[Validation]) -> dict[int, float]:
    """The objective by report, where it is known."""
    values = ((report.index, objective.value(reports[:i])) for i, report in enumerate(reports, 1))
    return {index: value for index, value in values if value is not None}


def _by_batch(objective: Objective, reports: Sequence[Validation]) -> dict[int, float]:
    """The objective of each validation batch, by report."""
    found: dict[int, float] = {}
    for batch in range(min(len(report.batches or ()) for report in reports)):
        of_batch = [
            dataclasses.replace(report, metrics=report.batches[batch]) for report in reports if report.batches
        ]
        found |= {mark(index, batch): value for index, value in _curve(objective, of_batch).items()}
    return found


def _at_equal_amounts(
    amounts: Sequence[float], values: Sequence[float], steps: int, apart: float
) -> dict[int, float]:
    """A curve between its reports, by mark.

    A mark that lies less than one step ahead is reached: runs of equal FLOPs end up to a step apart.

    Args:
        amounts: spent at each report, ascending.
        values: at each report.
        steps: optimizer steps made.
        apart: the amount from mark to mark.
    """
    last = math.ceil(amounts[-1] * (1 + 1 / steps) / apart) - 1
    reached = range(1, last + 1)
    return dict(zip(reached, np.interp([at * apart for at in reached], amounts, values).tolist()))


def _longest(candidates: Candidates, fidelity: str) -> int:
    rng = np.random.default_rng(0)
    drawn = [candidate for _ in range(DRAWS) if (candidate := candidates.sample(rng)) is not None]
    return max(one.run.train.steps * (1 if fidelity == "steps" else one.flops_per_step) for one in drawn)
