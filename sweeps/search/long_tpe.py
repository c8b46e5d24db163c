"""Optuna's TPE, quick in studies of thousands of trials and where many a proposal is rejected.

The first proposal for a trial is Optuna's own, to the last bit. Optuna ranks every trial of a study and translates
all its parameters for each proposal. Here that is done once for all proposals of a trial, only those are ranked
that may be among the best, and what follows the first proposal is drawn together, but weighed one by one.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.long_parzen import LongParzenEstimator

TOGETHER = 8
"""Proposals that are drawn at once behind the first, which is most often enough."""
LEARNED_FROM = (TrialState.COMPLETE, TrialState.PRUNED)


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
        if self._proposals is not None:
            return next(self._proposals)
        return super()._sample_relative(study, trial, search_space)

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if study._is_multi_objective():
            return super()._sample(study, trial, search_space)
        self._proposals = self._proposed(study, trial, search_space)
        return next(self._proposals)

    def _proposed(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Iterator[dict[str, Any]]:
        """Proposals without end, each the best of `n_ei_candidates` draws."""
        good, others = self._fit(study, trial, search_space)
        together = 1
        while True:
            samples = good.sample(self._rng.rng, together * self._n_ei_candidates)
            for places in np.split(np.arange(together * self._n_ei_candidates), together):
                drawn = {name: column[places] for name, column in samples.items()}
                best = self._compare(drawn, self._compute_acquisition_func(drawn, good, others))
                yield {name: space.to_external_repr(best[name]) for name, space in search_space.items()}
            together = TOGETHER

    def _fit(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> tuple[_ParzenEstimator, _ParzenEstimator]:
        states = [*LEARNED_FROM, *([TrialState.RUNNING] if self._constant_liar else [])]
        trials = study._get_trials(deepcopy=False, states=states)
        place = bisect_left(trials, trial.number, key=lambda one: one.number)
        later = [one for one in trials[place:] if one.number != trial.number]
        good, others = split(study, trials[:place] + later)
        return (
            self._build_parzen_estimator(study, search_space, good, handle_below=True),
            self._build_parzen_estimator(study, search_space, others, handle_below=False),
        )

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: optuna.Study
    ) -> dict[str, np.ndarray]:
        known = [trial.params for trial in trials]
        return {
            name: _internal(space, [params[name] for params in known]) for name, space in search_space.items()
        }


def split(study: optuna.Study, trials: list[FrozenTrial]) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The good trials of a study of one objective, and the others, both in the order of their numbers.

    Args:
        trials: likewise.
    """
    states = [trial.state for trial in trials]
    num_good = default_gamma(len(trials) - states.count(TrialState.RUNNING))
    completed = [place for place, state in enumerate(states) if state == TrialState.COMPLETE]
    if len(completed) < num_good:
        return _split_trials(study, trials, num_good)  # the rest are pruned ones: Optuna ranks them
    sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
    best = heapq.nsmallest(num_good, completed, key=lambda place: sign * (trials[place].value or 0.0))
    others = trials.copy()
    good = [others.pop(place) for place in sorted(best, reverse=True)]
    return good[::-1], others


def _internal(space: BaseDistribution, values: list[Any]) -> np.ndarray:
    if isinstance(space, CategoricalDistribution):
        return np.asarray([space.to_internal_repr(value) for value in values])
    return np.asarray(values, dtype=float)
