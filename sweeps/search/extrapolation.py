"""Pruning by where a learning curve leads, not by where it is: a slow starter that still rises may go on."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class ExtrapolationPruner(BasePruner):
    """Stops a trial whose predicted end lies clearly behind the best end so far.

    The prediction is the value at the latest mark, plus a multiple of what the trial has gained since it was half as
    far. The multiple is fitted to the completed trials by least squares; the standard deviation of their residuals
    is the prediction's error.

    Args:
        n_startup_trials: completed trials before any is stopped, at least 2.
        first_mark: where a trial may be stopped first, at least 2.
        margin: standard deviations by which a prediction must lie behind the best.
    """

    def __init__(self, n_startup_trials: int, first_mark: int, margin: float) -> None:
        self._n_startup_trials, self._first_mark, self._margin = n_startup_trials, first_mark, margin

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        mark = trial.last_step
        if mark is None or mark < self._first_mark:
            return False
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        half = mark // 2
        completed = [
            (one.intermediate_values[half], one.intermediate_values[mark], one.value)
            for one in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if {half, mark} <= one.intermediate_values.keys()
        ]
        if half not in trial.intermediate_values or len(completed) < self._n_startup_trials:
            return False
        before, now, end = sign * np.asarray(completed, dtype=float).T
        gained, to_come = now - before, end - now
        multiple = gained @ to_come / (gained @ gained) if gained.any() else 0.0
        error = float(np.std(to_come - multiple * gained, ddof=1))
        own_before, own_now = (sign * trial.intermediate_values[at] for at in (half, mark))
        predicted = own_now + multiple * (own_now - own_before)
        return bool(predicted + self._margin * error < end.max())
