"""Any Optuna sampler, held to configurations that fit the budget and were not tried often enough.

The study never meets an over-budget or repeated trial: such proposals are rejected before they become one.
Where replicates are asked for, a completed configuration may be proposed again until it has as many trials.
Rejection leaves the sampler's own distribution intact over what is feasible; a model that is too sure of
infeasible or known ground is snapped to the nearest configuration that is neither.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.rejections import Lesson, Rejection, TaughtStudy
from sweeps.space.candidates import Candidate, Candidates

KEY = "key"
"""User attribute of a trial: what two duplicates share (see `Candidate.key`)."""


class BudgetedSampler(BaseSampler):
    """Proposes only feasible configurations that may have another trial (see `closed_keys`).

    Args:
        candidates: the feasible configurations.
        inner: proposes; asked for whole configurations only, by `sample_relative`. While it returns nothing
            (its startup), configurations are drawn uniformly from the feasible, new ones.
        draws: proposals of `inner` to look at before its first is snapped.
        seed: of the uniform draws.
        replicates: most trials of one configuration.
        lesson: how `inner` is taught what does not fit (see `sweeps.search.rejections`); None teaches nothing.
    """

    def __init__(
        self,
        candidates: Candidates,
        inner: BaseSampler,
        draws: int,
        seed: int,
        replicates: int = 1,
        lesson: Lesson | None = None,
    ) -> None:
        self.rejected: list[Rejection] = []
        """The infeasible proposals of the suggestion, if they teach something: its trial keeps them."""
        self._candidates = candidates
        self._inner = inner
        self._draws = draws
        self._seed = seed
        self._replicates = replicates
        self._lesson = lesson

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._candidates.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        closed = closed_keys(study, trial.number, self._replicates)
        rng = np.random.default_rng(self._seed)
        first: dict[str, Any] | None = None
        if self._lesson is not None:
            study = TaughtStudy(study, trial.number, self._lesson, self.rejected)
        for params in self._proposals(study, trial, search_space):
            candidate = self._candidates.candidate(params)
            if candidate is None and self._lesson is not None:
                self.rejected.append(Rejection(params, self._candidates.excess(params)))
            if candidate is not None and candidate.key not in closed:
                return params
            first = first or params
        return dict(self._fallback(first, rng, closed).params)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError("every parameter belongs to the relative search space")

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def _proposals(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Iterator[dict[str, Any]]:
        """Up to `draws` proposals of the inner sampler, brought to the space's grids, with single-valued parameters
        filled in, and those that it leaves open, as a genetic algorithm does with what it mutates."""
        searched = {name: space for name, space in search_space.items() if not space.single()}
        fixed = {name: _only_value(space) for name, space in search_space.items() if space.single()}
        for _ in range(self._draws):
            params = self._inner.sample_relative(study, trial, searched)
            if not params:
                return
            for name, space in searched.items():
                if name not in params:
                    params[name] = self._inner.sample_independent(study, trial, name, space)
            yield self._candidates.on_grid(fixed | params)

    def _fallback(
        self, proposal: dict[str, Any] | None, rng: np.random.Generator, closed: Collection[str]
    ) -> Candidate:
        if proposal is None:
            candidate = self._candidates.sample(rng, closed)
        else:
            candidate = self._candidates.nearest(proposal, rng, closed)
        assert candidate is not None, "a trial was asked for when every configuration had been tried"
        return candidate


def closed_keys(study: optuna.Study, before: int, replicates: int = 1) -> set[str]:
    """Keys of configurations that get no further trial, as of trial `before`.

    Those that have `replicates` trials, or one that is not known to have completed: what was pruned or has
    failed is not worth another, and of what is running nothing is known yet.

    Asks the storage: under Hyperband, `study.get_trials` shows one bracket only.
    """
    trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
    earlier = trials[: bisect_left(trials, before, key=lambda trial: trial.number)]
    if replicates == 1:
        return {trial.user_attrs[KEY] for trial in earlier}
    times = Counter(trial.user_attrs[KEY] for trial in earlier)
    unfit = {trial.user_attrs[KEY] for trial in earlier if trial.state != TrialState.COMPLETE}
    return unfit | {key for key, count in times.items() if count >= replicates}


def _only_value(space: BaseDistribution) -> Any:
    if isinstance(space, CategoricalDistribution):
        return space.choices[0]
    assert isinstance(space, IntDistribution | FloatDistribution)
    return space.low
