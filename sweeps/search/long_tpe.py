"""Optuna's TPE, quick in studies of thousands of trials and where many a proposal is rejected.

The first proposal for a trial is Optuna's own, to the last bit. But where Optuna looks at every trial of a study for
each proposal, trials that have ended are looked at once; a model is fit once for all proposals of a trial; and what
follows the first proposal is drawn together, and weighed one by one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.long_parzen import LongParzenEstimator
from sweeps.search.trial_table import STATE, VALUE, TrialTable, parameters, read

TOGETHER = 8
"""Proposals that are drawn at once behind the first, which is most often enough."""
LEARNED_FROM = (TrialState.COMPLETE, TrialState.PRUNED)
_TABLES: WeakKeyDictionary[BaseStorage, TrialTable] = WeakKeyDictionary()
"""Of each study's trials: samplers are built afresh for every trial."""


class LongStudyTPESampler(TPESampler):
    """For one trial, of a study whose trials all have the same parameters, all known.

    No completed trial breaks a constraint; pruned ones may.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parzen_estimator_cls = LongParzenEstimator
        self._proposals: Iterator[dict[str, Any]] | None = None

    def _sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if study._is_multi_objective() or not search_space:
            return super()._sample_relative(study, trial, search_space)
        if self._proposals is None:
            trials = _others(study, trial)
            table = _table(study, search_space).of(trials)
            if np.isin(table[:, STATE], LEARNED_FROM).sum() < self._n_startup_trials:
                return {}
            states = [*LEARNED_FROM, *([TrialState.RUNNING] if self._constant_liar else [])]
            good, others = (
                self._density(table[places], search_space) for places in split(study, trials, table, states)
            )
            self._proposals = self._proposed(good, others, search_space)
        return next(self._proposals)

    def _proposed(
        self,
        good: LongParzenEstimator,
        others: LongParzenEstimator,
        search_space: dict[str, BaseDistribution],
    ) -> Iterator[dict[str, Any]]:
        """Proposals without end, each the best of `n_ei_candidates` draws."""
        together = 1
        while True:
            samples = good.sample(self._rng.rng, together * self._n_ei_candidates)
            for places in np.split(np.arange(together * self._n_ei_candidates), together):
                drawn = {name: column[places] for name, column in samples.items()}
                best = self._compare(drawn, self._compute_acquisition_func(drawn, good, others))
                yield {name: space.to_external_repr(best[name]) for name, space in search_space.items()}
            together = TOGETHER

    def _density(self, table: np.ndarray, search_space: dict[str, BaseDistribution]) -> LongParzenEstimator:
        return LongParzenEstimator(
            parameters(table, search_space), search_space, self._parzen_estimator_parameters
        )

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: optuna.Study
    ) -> dict[str, np.ndarray]:
        return parameters(read(trials, search_space), search_space)


def split(
    study: optuna.Study, trials: Sequence[FrozenTrial], table: np.ndarray, states: Sequence[TrialState]
) -> tuple[np.ndarray, np.ndarray]:
    """The places of the good trials of a study of one objective, and those of the others, ascending.

    Args:
        trials: in the order of their numbers.
        table: theirs.
        states: of those to split.
    """
    places = np.flatnonzero(np.isin(table[:, STATE], states)).tolist()
    completed = np.flatnonzero(table[:, STATE] == TrialState.COMPLETE)
    num_good = default_gamma(int(np.isin(table[:, STATE], LEARNED_FROM).sum()))
    if len(completed) < num_good:  # the rest are pruned ones: Optuna ranks them
        best, _ = _split_trials(study, [trials[place] for place in places], num_good)
        numbers = {trial.number for trial in best}
        good = np.asarray([place for place in places if trials[place].number in numbers])
    else:
        sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
        ranked = np.argsort(sign * table[completed, VALUE], kind="stable")
        good = np.sort(completed[ranked[:num_good]])
    return good, np.setdiff1d(places, good)


def _others(study: optuna.Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """All trials but one, in the order of their numbers."""
    trials = study._get_trials(deepcopy=False)
    place = bisect_left(trials, trial.number, key=lambda one: one.number)
    return trials[:place] + [one for one in trials[place:] if one.number != trial.number]


def _table(study: optuna.Study, space: dict[str, BaseDistribution]) -> TrialTable:
    kept = _TABLES.get(study._storage)
    if kept is None or kept.space != space:
        kept = _TABLES[study._storage] = TrialTable(space)
    return kept
