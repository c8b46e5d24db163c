"""Optuna's Parzen estimator, quick where a few samples are weighed against thousands of kernels at a time.

Its densities are Optuna's, to the last bit: the same operations in the same order. But what depends on the kernels
alone is computed once, what does not differ between samples is computed for one of them, and exponentials that
are zero are left out.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe._truncnorm import _log_gauss_mass, _norm_logpdf
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.probability_distributions import (
    _BatchedCategoricalDistributions,
    _BatchedDiscreteTruncLogNormDistributions,
    _BatchedDiscreteTruncNormDistributions,
    _BatchedTruncLogNormDistributions,
    _BatchedTruncNormDistributions,
    _log_gauss_mass_unique,
    _unique_inverse_2d,
)
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

STATE, VALUE, PARAMETERS = 0, 1, 2
"""Columns; behind these the other parameters."""


class TrialTable:
    """The table of a growing list of trials.

    Args:
        space: parameters that all trials have.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.space = space
        self._ended: list[FrozenTrial] = []
        self._rows = read([], space)

    def of(self, trials: list[FrozenTrial]) -> np.ndarray:
        """See `read`."""
        known = len(self._ended)
        if trials[:known] != self._ended:  # which looks into no trial that is one of these
            known, self._rows = 0, self._rows[:0]
        new = trials[known:]
        rows = np.vstack([self._rows, read(new, self.space)])
        num_ended = known + len(list(itertools.takewhile(lambda trial: trial.state.is_finished(), new)))
        self._ended, self._rows = trials[:num_ended], rows[:num_ended]
        return rows


def read(trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> np.ndarray:
    """A row for each trial: its state, its first value (NaN where it has none) and its parameters, as Optuna
    represents them."""
    states = [trial.state for trial in trials]
    values = [math.nan if trial.values is None else trial.values[0] for trial in trials]
    known = [trial.params for trial in trials]
    columns = [_internal(each, [params[name] for params in known]) for name, each in space.items()]
    return np.array([states, values, *columns], dtype=float).T


def parameters(table: np.ndarray, space: Mapping[str, BaseDistribution]) -> dict[str, np.ndarray]:
    """The parameters of a table of that space."""
    return dict(zip(space, table[:, PARAMETERS:].T, strict=True))


def _internal(space: BaseDistribution, values: list[Any]) -> list[float]:
    if isinstance(space, CategoricalDistribution):
        return [space.to_internal_repr(value) for value in values]
    return values


_OnGrid = _BatchedDiscreteTruncNormDistributions | _BatchedDiscreteTruncLogNormDistributions
_Continuous = _BatchedTruncNormDistributions | _BatchedTruncLogNormDistributions

UNDERFLOW = -746.0
"""The exponential of this, and of less, is zero."""


class CachedParzenEstimator(_ParzenEstimator):
    """See Optuna's."""

    def __init__(
        self,
        observations: dict[str, np.ndarray],
        search_space: dict[str, BaseDistribution],
        parameters: _ParzenEstimatorParameters,
        predetermined_weights: np.ndarray | None = None,
    ) -> None:
        super().__init__(observations, search_space, parameters, predetermined_weights)
        self._log_weights = np.log(self._mixture_distribution.weights)
        self._discrete: dict[str, _CategoricalKernels | _GridKernels] = {}
        continuous: dict[str, _Continuous] = {}
        for name, kernels in zip(search_space, self._mixture_distribution.distributions, strict=True):
            if isinstance(kernels, _BatchedCategoricalDistributions):
                self._discrete[name] = _CategoricalKernels.of(kernels)
            elif isinstance(kernels, _OnGrid):
                self._discrete[name] = _GridKernels.of(kernels)
            else:
                continuous[name] = kernels
        self._continuous = _ContinuousKernels.of(continuous) if continuous else None

    def log_pdf(self, samples_dict: dict[str, np.ndarray]) -> np.ndarray:
        """The log density of each sample."""
        num_samples = len(next(iter(samples_dict.values())))
        total = np.zeros((num_samples, len(self._log_weights)))
        for name, kernels in self._discrete.items():
            kernels.add_to(total, samples_dict[name])
        if self._continuous is not None:
            total += self._continuous.log_densities(samples_dict)
        total += self._log_weights
        return _log_sum_exp(total)


class _CategoricalKernels(NamedTuple):
    log_weights: np.ndarray
    """(choices, kernels)"""

    @classmethod
    def of(cls, kernels: _BatchedCategoricalDistributions) -> _CategoricalKernels:
        return cls(np.log(np.ascontiguousarray(kernels.weights.T)))

    def add_to(self, total: np.ndarray, samples: np.ndarray) -> None:
        total += self.log_weights[samples.astype(np.int64)]


class _GridKernels(NamedTuple):
    step: float
    is_log: bool
    mus: np.ndarray
    """Of the distinct kernels, like `sigmas`."""
    sigmas: np.ndarray
    place: np.ndarray
    """Of each kernel among the distinct ones."""
    log_mass: np.ndarray
    """Of each kernel, within the range."""

    @classmethod
    def of(cls, kernels: _OnGrid) -> _GridKernels:
        mus, sigmas, place = _unique_inverse_2d(kernels.mu, kernels.sigma)
        mass = _log_gauss_mass((kernels.adapted_low - mus) / sigmas, (kernels.adapted_high - mus) / sigmas)
        return cls(kernels.step, kernels.is_log, mus, sigmas, place, mass[place])

    def add_to(self, total: np.ndarray, samples: np.ndarray) -> None:
        values, place = np.unique(samples, return_inverse=True)
        left, right = values - self.step / 2, values + self.step / 2
        if self.is_log:
            left, right = np.log(left), np.log(right)
        masses = _log_gauss_mass_unique(
            (left[:, np.newaxis] - self.mus) / self.sigmas, (right[:, np.newaxis] - self.mus) / self.sigmas
        )
        total += masses[:, self.place][place]
        total -= self.log_mass


class _ContinuousKernels(NamedTuple):
    """Of all continuous parameters; arrays are (kernels, parameters)."""

    is_log: dict[str, bool]
    mus: np.ndarray
    sigmas: np.ndarray
    lows: np.ndarray
    """Of the range in units of the kernel, like `highs`."""
    highs: np.ndarray
    log_mass: np.ndarray
    log_sigmas: np.ndarray

    @classmethod
    def of(cls, kernels: dict[str, _Continuous]) -> _ContinuousKernels:
        each = kernels.values()
        mus = np.stack([one.mu for one in each], axis=-1)
        sigmas = np.stack([one.sigma for one in each], axis=-1)
        lows = (np.asarray([one.adapted_low for one in each]) - mus) / sigmas
        highs = (np.asarray([one.adapted_high for one in each]) - mus) / sigmas
        is_log = {name: one.is_log for name, one in kernels.items()}
        return cls(is_log, mus, sigmas, lows, highs, _log_gauss_mass(lows, highs), np.log(sigmas))

    def log_densities(self, samples: dict[str, np.ndarray]) -> np.ndarray:
        """(samples, kernels)"""
        columns = [np.log(samples[name]) if log else samples[name] for name, log in self.is_log.items()]
        units = (np.stack(columns, axis=-1)[:, np.newaxis] - self.mus) / self.sigmas
        densities = _norm_logpdf(units) - self.log_mass - self.log_sigmas
        densities[(units < self.lows) | (units > self.highs)] = -np.inf
        return densities.sum(axis=-1)


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    """Of each row; overwrites them."""
    largest = values.max(axis=1)
    largest[np.isneginf(largest)] = 0
    values -= largest[:, np.newaxis]
    seen = np.flatnonzero(values > UNDERFLOW)
    exponentials = np.zeros_like(values)
    exponentials.ravel()[seen] = np.exp(values.ravel()[seen])
    with np.errstate(divide="ignore"):
        return np.log(exponentials.sum(axis=1)) + largest


TOGETHER = 8
"""Proposals that are drawn at once behind the first, which is most often enough."""
LEARNED_FROM = (TrialState.COMPLETE, TrialState.PRUNED)
_TABLES: WeakKeyDictionary[BaseStorage, TrialTable] = WeakKeyDictionary()
"""Of each study's trials: samplers are built afresh for every trial."""


class FastTPESampler(TPESampler):
    """For one trial, of a study whose trials all have the same parameters, all known.

    No completed trial breaks a constraint; pruned ones may.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parzen_estimator_cls = CachedParzenEstimator
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
        good: CachedParzenEstimator,
        others: CachedParzenEstimator,
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

    def _density(self, table: np.ndarray, search_space: dict[str, BaseDistribution]) -> CachedParzenEstimator:
        return CachedParzenEstimator(
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
