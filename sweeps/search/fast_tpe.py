"""Optuna's TPE for one suggestion at a time in a study of thousands of trials.

For every proposal, `TPESampler` splits the trials into good and other ones and fits two densities. Here that is done
once for all proposals of a suggestion, and the split without what only several objectives and constraints need. The
first proposal is Optuna's to the last bit.

Why it is here: a suggestion is to stay within 60 ms at 1,000 and 300 ms at 10,000 trials, in the median and in the
90th percentile, in spaces where half of the points are infeasible. Milliseconds, with all proposals of a suggestion,
event log and journal, the best of three runs of benchmarks/large_study.py on two cores of an Intel Xeon:

    space    trials   this module    Optuna's TPE   proposals
    shapes    1,000     24,  92        46,   237      4, 24
    shapes   10,000    373, 381     2,148, 2,239     24, 24
    widths    1,000     17,  29        21,    46      1,  3
    widths   10,000    143, 287       323,   819      2,  8

So Optuna's own is too slow by up to seven times. This one is, too, where most proposals are rejected as infeasible or
tried before, by up to a half.

This is the only module that uses private names of Optuna's TPE: its Parzen estimator, its ways of reading and
splitting trials, the method that proposes, and the options, random state and estimator's settings that a sampler
keeps. None of them has a public form: overriding `sample_relative` instead would lose the record by which Optuna
shares the proposal of a running trial. tests/sweeps/search/test_fast_tpe.py holds the proposals against those of
`TPESampler`, and fails when they change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

LEARNED_FROM = (TrialState.COMPLETE, TrialState.PRUNED)
BATCH = 8
"""Proposals that are drawn at once after the first, which is most often enough."""


class FastTPESampler(TPESampler):
    """Proposes configurations for one trial of a study whose trials all have the same parameters.

    No completed trial breaks a constraint; pruned ones may.

    >>> from optuna.distributions import FloatDistribution
    >>> space = {"x": FloatDistribution(0, 1)}
    >>> study = optuna.create_study()
    >>> for x in np.linspace(0, 1, 40):
    ...     study.add_trial(optuna.trial.create_trial(value=x, params={"x": x}, distributions=space))
    >>> sampler = FastTPESampler(seed=0, constant_liar=False)
    >>> trial = optuna.trial.create_trial(state=TrialState.RUNNING)
    >>> all(sampler.sample_relative(study, trial, space)["x"] < 0.5 for _ in range(5))
    True
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._proposals: Iterator[dict[str, Any]] | None = None

    def _sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if len(study.directions) > 1 or not search_space:
            return super()._sample_relative(study, trial, search_space)
        if self._proposals is None:
            # As Optuna reads them: under Hyperband, `get_trials` has only those of the trial's own bracket.
            trials = [one for one in study._get_trials(deepcopy=False) if one.number != trial.number]
            if sum(one.state in LEARNED_FROM for one in trials) < self._n_startup_trials:
                return {}
            states = (*LEARNED_FROM, TrialState.RUNNING) if self._constant_liar else LEARNED_FROM
            good, others = split_trials(study, [one for one in trials if one.state in states])
            self._proposals = self._propose(
                self._fit(good, search_space), self._fit(others, search_space), search_space
            )
        return next(self._proposals)

    def _fit(
        self, trials: Sequence[FrozenTrial], search_space: dict[str, BaseDistribution]
    ) -> _ParzenEstimator:
        """Return the density of some trials' parameters."""
        params = [trial.params for trial in trials]
        observations = {
            name: np.asarray([space.to_internal_repr(one[name]) for one in params])
            for name, space in search_space.items()
        }
        return _ParzenEstimator(observations, search_space, self._parzen_estimator_parameters)

    def _propose(
        self, good: _ParzenEstimator, others: _ParzenEstimator, search_space: dict[str, BaseDistribution]
    ) -> Iterator[dict[str, Any]]:
        """Yield proposals without end, each the best of `n_ei_candidates` draws."""
        batch = 1
        while True:
            samples = good.sample(self._rng.rng, batch * self._n_ei_candidates)
            for indices in np.split(np.arange(batch * self._n_ei_candidates), batch):
                drawn = {name: column[indices] for name, column in samples.items()}
                best = np.argmax(good.log_pdf(drawn) - others.log_pdf(drawn))
                yield {
                    name: space.to_external_repr(drawn[name][best].item())
                    for name, space in search_space.items()
                }
            batch = BATCH


def split_trials(
    study: optuna.Study, trials: Sequence[FrozenTrial]
) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """Split the trials of a study of one objective into the good ones and the others, as Optuna does.

    Args:
        trials: in the order of their numbers, which the results keep.

    >>> study = optuna.create_study(direction="maximize")
    >>> study.add_trials([optuna.trial.create_trial(value=value) for value in range(20)])
    >>> good, others = split_trials(study, study.get_trials())
    >>> [trial.value for trial in good], len(others)
    ([18, 19], 18)
    """
    num_good = default_gamma(sum(trial.state in LEARNED_FROM for trial in trials))
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if len(completed) < num_good:  # the rest are pruned ones, which Optuna ranks by their last values
        return _split_trials(study, list(trials), num_good)
    maximize = study.direction == StudyDirection.MAXIMIZE
    ranked = sorted(completed, key=lambda trial: trial.value or 0.0, reverse=maximize)
    good = {trial.number for trial in ranked[:num_good]}
    return (
        [trial for trial in trials if trial.number in good],
        [trial for trial in trials if trial.number not in good],
    )
