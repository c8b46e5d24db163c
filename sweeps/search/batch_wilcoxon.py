"""Optuna's WilcoxonPruner over the batches of one validation.

The test pairs instances: two trials are compared on the same puzzles, batch by batch, at the same report. Reports of
one trial are no further instances, for they judge the same puzzles again; so earlier ones are left out.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import optuna
from optuna.pruners import BasePruner, WilcoxonPruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

_BATCHES = 1_000_000
"""More than a validation has."""


def mark(report: int, batch: int) -> int:
    """Where a study keeps the objective of a validation batch (from 0) at a report (from 1)."""
    return report * _BATCHES + batch


class BatchWilcoxonPruner(BasePruner):
    """Stops a trial that is worse than the best one on the same validation batches, by a signed-rank test.

    Args:
        p_threshold: below which p-value; each report tests anew.
        num_startup_batches: fewest pairs to be tested.
        first_report: the first that is tested.
    """

    def __init__(self, p_threshold: float, num_startup_batches: int, first_report: int) -> None:
        self._test = WilcoxonPruner(p_threshold=p_threshold, n_startup_steps=num_startup_batches)
        self._first_report = first_report

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        if trial.last_step is None or trial.last_step < mark(self._first_report, 0):
            return False
        report = trial.last_step // _BATCHES
        try:
            best = study.best_trial
        except ValueError:  # none is completed
            return False
        shown: Any = _Shown(study.direction, _at(report, best))
        return self._test.prune(shown, _at(report, trial))


class _Shown(NamedTuple):
    """What Optuna's pruner reads of a study."""

    direction: StudyDirection
    best_trial: FrozenTrial


def _at(report: int, trial: FrozenTrial) -> FrozenTrial:
    shown = copy.copy(trial)
    values = trial.intermediate_values.items()
    shown.intermediate_values = {step: value for step, value in values if step // _BATCHES == report}
    return shown
