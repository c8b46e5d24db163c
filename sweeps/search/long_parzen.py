"""Optuna's Parzen estimator, quick where a few samples are weighed against thousands of kernels at a time.

Its densities are Optuna's, to the last bit: the same operations in the same order. But what depends on the kernels
alone is computed once, what does not differ between samples is computed for one of them, and exponentials that
are zero are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution
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

_OnGrid = _BatchedDiscreteTruncNormDistributions | _BatchedDiscreteTruncLogNormDistributions
_Continuous = _BatchedTruncNormDistributions | _BatchedTruncLogNormDistributions

UNDERFLOW = -746.0
"""The exponential of this, and of less, is zero."""


class LongParzenEstimator(_ParzenEstimator):
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
