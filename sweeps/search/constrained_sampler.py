"""Any Optuna sampler, held to configurations that fit the budget and were not tried often enough.

The study never meets an over-budget or repeated trial: such proposals are rejected before they become one.
Where replicates are asked for, a completed configuration may be proposed again until it has as many trials.
InfeasibleProposal leaves the sampler's own distribution intact over what is feasible; a model that is too sure of
infeasible or known ground is snapped to the nearest configuration that is neither.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.fast_tpe import LEARNED_FROM
from sweeps.space.candidates import Candidate, Candidates

REJECTED = "rejected"
"""User attribute of a trial: what its suggestion rejected, as [parameters, excess], in order."""
MOST_SHOWN = 100
"""Of all rejections the latest: more take time, and mostly tell of ground that the sampler has left."""
CONSTRAINT = "constraints:budget"
"""System attribute in which Optuna keeps a trial's constraint `budget`."""


class InfeasibleProposal(NamedTuple):
    """A proposal that is not feasible."""

    params: dict[str, Any]
    excess: float
    """See `Candidates.violation`."""


ConstraintFeedback = Callable[[list[FrozenTrial], list[InfeasibleProposal]], list[FrozenTrial]]
"""What a sampler is shown for the study's trials and the rejections."""


def build_constraint_feedback(sampler: BaseSampler, candidates: Candidates) -> ConstraintFeedback | None:
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


class ConstrainedStudyView(optuna.Study):
    """A study as its sampler sees it while it proposes trial `number`.

    Args:
        lesson: how the sampler is taught.
        rejected: by the suggestion so far; it may grow.
    """

    def __init__(
        self,
        study: optuna.Study,
        number: int,
        feedback: ConstraintFeedback,
        rejected: Sequence[InfeasibleProposal],
    ) -> None:
        super().__init__(study.study_name, study._storage, sampler=study.sampler, pruner=study.pruner)
        self._untaught = study
        self._lesson = feedback
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


def _latest(trials: Sequence[FrozenTrial]) -> list[InfeasibleProposal]:
    """The last rejections of some trials, in order."""
    found: list[InfeasibleProposal] = []
    for trial in reversed(trials):
        of_trial = [InfeasibleProposal(*one) for one in trial.user_attrs.get(REJECTED, ())]
        found = of_trial + found
        if len(found) >= MOST_SHOWN:
            break
    return found


def _as_pruned(
    num_startup: int, candidates: Candidates, trials: list[FrozenTrial], rejected: list[InfeasibleProposal]
) -> list[FrozenTrial]:
    """For TPE: as pruned trials, from which it learns where not to look, once its startup is over without them."""
    num_ended = sum(trial.state in LEARNED_FROM for trial in trials)
    if num_ended < num_startup:
        return trials
    return _infeasible(candidates, rejected, TrialState.PRUNED) + trials


def _as_completed(
    num_startup: int, candidates: Candidates, trials: list[FrozenTrial], rejected: list[InfeasibleProposal]
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
            trial.system_attrs = {**trial.system_attrs, CONSTRAINT: candidates.violation(trial.params)}
    return shown


def _infeasible(
    candidates: Candidates,
    rejected: list[InfeasibleProposal],
    state: TrialState,
    values: list[float] | None = None,
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


KEY = "key"
"""User attribute of a trial: what two duplicates share (see `Candidate.key`)."""


class ConstrainedSampler(BaseSampler):
    """Proposes only feasible configurations that may have another trial (see `exhausted_keys`).

    Args:
        candidates: the feasible configurations.
        inner: proposes; asked for whole configurations only, by `sample_relative`. While it returns nothing
            (its startup), configurations are drawn uniformly from the feasible, new ones.
        draws: proposals of `inner` to look at before its first is snapped.
        seed: of the uniform draws.
        replicates: most trials of one configuration.
        lesson: how `inner` is taught what does not fit; None teaches nothing.
    """

    def __init__(
        self,
        candidates: Candidates,
        inner: BaseSampler,
        draws: int,
        seed: int,
        replicates: int = 1,
        feedback: ConstraintFeedback | None = None,
    ) -> None:
        self.rejected: list[InfeasibleProposal] = []
        """The infeasible proposals of the suggestion, if they teach something: its trial keeps them."""
        self._candidates = candidates
        self._inner = inner
        self._draws = draws
        self._seed = seed
        self._replicates = replicates
        self._lesson = feedback

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._candidates.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        closed = exhausted_keys(study, trial.number, self._replicates)
        rng = np.random.default_rng(self._seed)
        first: dict[str, Any] | None = None
        if self._lesson is not None:
            study = ConstrainedStudyView(study, trial.number, self._lesson, self.rejected)
        for params in self._proposals(study, trial, search_space):
            candidate = self._candidates.candidate(params)
            if candidate is None and self._lesson is not None:
                self.rejected.append(InfeasibleProposal(params, self._candidates.violation(params)))
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
            yield self._candidates.to_grid(fixed | params)

    def _fallback(
        self, proposal: dict[str, Any] | None, rng: np.random.Generator, closed: Collection[str]
    ) -> Candidate:
        if proposal is None:
            candidate = self._candidates.sample(rng, closed)
        else:
            candidate = self._candidates.nearest(proposal, rng, closed)
        assert candidate is not None, "a trial was asked for when every configuration had been tried"
        return candidate


def exhausted_keys(study: optuna.Study, before: int, replicates: int = 1) -> set[str]:
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
