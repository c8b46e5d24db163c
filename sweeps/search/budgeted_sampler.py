"""Any Optuna sampler, held to configurations that fit the budget and were not tried before.

The study never meets an over-budget or repeated trial: such proposals are rejected before they become one.
Rejection leaves the sampler's own distribution intact over what is feasible; a model that is too sure of
infeasible or known ground is snapped to the nearest configuration that is neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from sweeps.space.candidates import Candidate, Candidates

KEY = "key"
"""User attribute of a trial: what two duplicates share (see `Candidate.key`)."""


class BudgetedSampler(BaseSampler):
    """Proposes only feasible configurations whose key no earlier trial has.

    Args:
        candidates: the feasible configurations.
        inner: proposes; asked for whole configurations only, by `sample_relative`. While it returns nothing
            (its startup), configurations are drawn uniformly from the feasible, new ones.
        draws: proposals of `inner` to look at before its first is snapped.
        seed: of the uniform draws.
    """

    def __init__(self, candidates: Candidates, inner: BaseSampler, draws: int, seed: int) -> None:
        self._candidates = candidates
        self._inner = inner
        self._draws = draws
        self._seed = seed

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._candidates.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        tried = tried_keys(study, trial.number)
        rng = np.random.default_rng(self._seed)
        first: dict[str, Any] | None = None
        for params in self._proposals(study, trial, search_space):
            candidate = self._candidates.candidate(params)
            if candidate is not None and candidate.key not in tried:
                return params
            first = first or params
        return dict(self._fallback(first, rng, tried).params)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError("every parameter belongs to the relative search space")

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def _proposals(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Iterator[dict[str, Any]]:
        """Up to `draws` proposals of the inner sampler, with single-valued parameters filled in."""
        searched = {name: space for name, space in search_space.items() if not space.single()}
        fixed = {name: _only_value(space) for name, space in search_space.items() if space.single()}
        for _ in range(self._draws):
            params = self._inner.sample_relative(study, trial, searched)
            if not params:
                return
            yield fixed | params

    def _fallback(
        self, proposal: dict[str, Any] | None, rng: np.random.Generator, tried: Collection[str]
    ) -> Candidate:
        if proposal is None:
            candidate = self._candidates.sample(rng, tried)
        else:
            candidate = self._candidates.nearest(proposal, rng, tried)
        assert candidate is not None, "a trial was asked for when every configuration had been tried"
        return candidate


def tried_keys(study: optuna.Study, before: int) -> set[str]:
    """Keys of all trials with a number below `before`, whatever became of them.

    Asks the storage: under Hyperband, `study.get_trials` shows one bracket only.
    """
    trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
    return {trial.user_attrs[KEY] for trial in trials if trial.number < before}


def _only_value(space: BaseDistribution) -> Any:
    if isinstance(space, CategoricalDistribution):
        return space.choices[0]
    assert isinstance(space, IntDistribution | FloatDistribution)
    return space.low
