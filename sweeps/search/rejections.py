"""What a sampler is taught of the budget where models are not enumerated: its own proposals that did not fit.

They are no trials. A suggestion writes those that it rejected into its trial, in the journal; while a sampler
decides, it meets those of earlier trials and of its own suggestion among the trials, in the state that it learns
from. Nobody else meets them: not a pruner, not a reader of the study.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.long_tpe import LEARNED_FROM
from sweeps.space.candidates import Candidates

REJECTED = "rejected"
"""User attribute of a trial: what its suggestion rejected, as [parameters, excess], in order."""
MOST_SHOWN = 100
"""Of all rejections the latest: more take time, and mostly tell of ground that the sampler has left."""
CONSTRAINT = "constraints:budget"
"""System attribute in which Optuna keeps a trial's constraint `budget`."""


class Rejection(NamedTuple):
    """A proposal that is not feasible."""

    params: dict[str, Any]
    excess: float
    """See `Candidates.excess`."""


Lesson = Callable[[list[FrozenTrial], list[Rejection]], list[FrozenTrial]]
"""What a sampler is shown for the study's trials and the rejections."""


def lesson_of(sampler: BaseSampler, candidates: Candidates) -> Lesson | None:
    """How a sampler is taught; None where it need not be.

    Where models are enumerated, what does not fit is snapped to what does. A genetic algorithm breeds from trials,
    all of which fit; the other samplers do not learn.
    """
    if candidates.shapes is not None:
        return None
    if isinstance(sampler, TPESampler):
        return lambda trials, rejected: _as_pruned(sampler._n_startup_trials, candidates, trials, rejected)
    if isinstance(sampler, GPSampler):
        return lambda trials, rejected: _as_completed(sampler._n_startup_trials, candidates, trials, rejected)
    return None


class TaughtStudy(optuna.Study):
    """A study as its sampler sees it while it proposes trial `number`.

    Args:
        lesson: how the sampler is taught.
        rejected: by the suggestion so far; it may grow.
    """

    def __init__(
        self, study: optuna.Study, number: int, lesson: Lesson, rejected: Sequence[Rejection]
    ) -> None:
        super().__init__(study.study_name, study._storage, sampler=study.sampler, pruner=study.pruner)
        self._untaught = study
        self._lesson = lesson
        self._rejected = rejected
        # From the storage: Hyperband shows a sampler one bracket, and what does not fit is the same in all.
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        self._earlier = _latest([trial for trial in trials if trial.number < number])

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = self._untaught._get_trials(deepcopy=False, use_cache=use_cache)
        taught = self._lesson(trials, [*self._earlier, *self._rejected][-MOST_SHOWN:])
        shown = [trial for trial in taught if states is None or trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown


def _latest(trials: Sequence[FrozenTrial]) -> list[Rejection]:
    """The last rejections of some trials, in order."""
    found: list[Rejection] = []
    for trial in reversed(trials):
        of_trial = [Rejection(*one) for one in trial.user_attrs.get(REJECTED, ())]
        found = of_trial + found
        if len(found) >= MOST_SHOWN:
            break
    return found


def _as_pruned(
    num_startup: int, candidates: Candidates, trials: list[FrozenTrial], rejected: list[Rejection]
) -> list[FrozenTrial]:
    """For TPE: as pruned trials, from which it learns where not to look, once its startup is over without them."""
    num_ended = sum(trial.state in LEARNED_FROM for trial in trials)
    if num_ended < num_startup:
        return trials
    return _infeasible(candidates, rejected, TrialState.PRUNED) + trials


def _as_completed(
    num_startup: int, candidates: Candidates, trials: list[FrozenTrial], rejected: list[Rejection]
) -> list[FrozenTrial]:
    """For a Gaussian process: as completed trials, which all have a constraint then.

    The objectives of a rejection are unknown: they are given the mean, which says nothing.
    """
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not rejected or len(completed) < num_startup:
        return trials
    mean = np.mean([trial.values for trial in completed], axis=0).tolist()
    shown = _infeasible(candidates, rejected, TrialState.COMPLETE, mean) + [copy.copy(one) for one in trials]
    for trial in shown[len(rejected) :]:
        if trial.state == TrialState.COMPLETE:
            trial.system_attrs = {**trial.system_attrs, CONSTRAINT: candidates.excess(trial.params)}
    return shown


def _infeasible(
    candidates: Candidates, rejected: list[Rejection], state: TrialState, values: list[float] | None = None
) -> list[FrozenTrial]:
    """Trials older than all of the study, numbered up to -1."""
    return [
        FrozenTrial(
            number=number,
            trial_id=number,
            state=state,
            value=None,
            values=values,
            datetime_start=None,
            datetime_complete=None,
            params=one.params,
            distributions=candidates.distributions,
            user_attrs={},
            system_attrs={CONSTRAINT: one.excess},
            intermediate_values={},
        )
        for number, one in enumerate(rejected, -len(rejected))
    ]
