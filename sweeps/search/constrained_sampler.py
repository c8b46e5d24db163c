"""Any Optuna sampler, restricted to configurations that fit the budget and may have another trial.

The study never gets an infeasible or exhausted trial: such proposals are rejected before they become one. With
replicates, a completed configuration may be proposed again until it has as many trials. Rejection leaves the
sampler's own distribution intact over what is feasible; a model that proposes nothing else is snapped to the nearest
configuration that may be tried.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.search.fast_tpe import LEARNED_FROM
from sweeps.space.candidates import Candidates

KEY = "key"
"""User attribute of a trial: what two duplicates share (see `Candidate.key`)."""
REJECTED = "rejected"
"""User attribute of a trial: what its suggestion rejected, as [parameters, violation], in order."""
MOST_SHOWN = 100
"""Rejections that a sampler is shown, the latest: more take time, and are mostly from regions it has left."""
CONSTRAINT = "budget"
"""Optuna's name of the constraint."""


class InfeasibleProposal(NamedTuple):
    """A proposal that does not fit the budget."""

    params: dict[str, Any]
    violation: float
    """See `Candidates.compute_violation`."""


ConstraintFeedback = Callable[[list[FrozenTrial], list[InfeasibleProposal]], list[FrozenTrial]]
"""Returns what a sampler is shown instead of the study's trials, given these and the rejections so far."""


class ConstrainedSampler(BaseSampler):
    """Proposes only feasible configurations that may have another trial.

    Args:
        candidates: the feasible configurations.
        inner: proposes; asked for whole configurations only, by `sample_relative`. While it returns nothing
            (its startup), configurations are drawn uniformly from those that may be tried.
        draws: proposals of `inner` to look at before its first is snapped.
        seed: of the uniform draws.
        exhausted: keys of configurations that get no further trial, see `find_exhausted_keys`.
        feedback: tells `inner` what is infeasible; None tells nothing.

    >>> from sweeps.config import SweepConfig
    >>> space = {"question": "?", "parameters": {"num_heads": [3, 4, 8]}, "fixed": {"hidden_size": 64}}
    >>> config = SweepConfig(space=space, task={"name": "sudoku6"})
    >>> candidates = Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
    >>> class ThreeHeads(optuna.samplers.RandomSampler):
    ...     def sample_relative(self, study, trial, search_space):
    ...         return {"num_heads": 3}
    >>> study = optuna.create_study(sampler=ConstrainedSampler(candidates, ThreeHeads(), draws=1, seed=0))
    >>> study.ask(candidates.distributions).params  # 3 heads do not divide the width, and 4 are nearest
    {'num_heads': 4}
    """

    def __init__(
        self,
        candidates: Candidates,
        inner: BaseSampler,
        draws: int,
        seed: int,
        exhausted: Collection[str] = (),
        feedback: ConstraintFeedback | None = None,
    ) -> None:
        self.rejected: list[InfeasibleProposal] = []
        """The infeasible proposals of this suggestion, if there is feedback: its trial keeps them."""
        self._candidates = candidates
        self._inner = inner
        self._draws = draws
        self._seed = seed
        self._exhausted = exhausted
        self.feedback = feedback

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._candidates.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        first: dict[str, Any] | None = None
        if self.feedback is not None:
            study = ConstrainedStudyView(study, self.feedback, self.rejected)
        for params in self._draw_proposals(study, trial, search_space):
            candidate = self._candidates.candidate(params)
            if candidate is None and self.feedback is not None:
                self.rejected.append(InfeasibleProposal(params, self._candidates.compute_violation(params)))
            if candidate is not None and candidate.key not in self._exhausted:
                return params
            first = first or params
        rng = np.random.default_rng(self._seed)
        if first is None:
            chosen = self._candidates.sample(rng, self._exhausted)
        else:
            chosen = self._candidates.nearest(first, rng, self._exhausted)
        assert chosen is not None, "a trial was asked for when every configuration had been tried"
        return dict(chosen.params)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError("every parameter belongs to the relative search space")

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def _draw_proposals(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Iterator[dict[str, Any]]:
        """Yield up to `draws` proposals of the inner sampler, brought to the space's grids.

        Parameters with a single value are filled in, and those that it leaves open, as a genetic algorithm does
        with what it mutates.
        """
        searched = {name: space for name, space in search_space.items() if not space.single()}
        fixed = {name: _get_only_value(space) for name, space in search_space.items() if space.single()}
        for _ in range(self._draws):
            params = self._inner.sample_relative(study, trial, searched)
            if not params:
                return
            for name, space in searched.items():
                if name not in params:
                    params[name] = self._inner.sample_independent(study, trial, name, space)
            yield self._candidates.to_grid(fixed | params)


def _get_only_value(space: BaseDistribution) -> Any:
    if isinstance(space, CategoricalDistribution):
        return space.choices[0]
    assert isinstance(space, IntDistribution | FloatDistribution)
    return space.low


def find_exhausted_keys(trials: Sequence[FrozenTrial], replicates: int = 1) -> set[str]:
    """Return the keys of configurations that get no further trial.

    Those that have `replicates` trials, or one that is not known to have completed: what was pruned or has failed
    is not worth another, and nothing is known yet of a running one.

    >>> from optuna.trial import create_trial
    >>> ended = [create_trial(value=value, user_attrs={KEY: key}) for key, value in [("a", 1), ("a", 2), ("b", 3)]]
    >>> running = create_trial(state=TrialState.RUNNING, user_attrs={KEY: "c"})
    >>> sorted(find_exhausted_keys([*ended, running], replicates=2))
    ['a', 'c']
    """
    if replicates == 1:
        return {trial.user_attrs[KEY] for trial in trials}
    times = Counter(trial.user_attrs[KEY] for trial in trials)
    not_completed = {trial.user_attrs[KEY] for trial in trials if trial.state != TrialState.COMPLETE}
    return not_completed | {key for key, count in times.items() if count >= replicates}


class ConstrainedStudyView(optuna.Study):
    """A study as a sampler with constraint feedback sees it during one suggestion.

    Args:
        rejected: by the suggestion so far; it may grow.

    >>> def show_last(trials: list, rejected: list) -> list:
    ...     return trials[-1:]
    >>> study = optuna.create_study()
    >>> study.add_trials([optuna.trial.create_trial(value=value) for value in (0.25, 0.5)])
    >>> [trial.value for trial in ConstrainedStudyView(study, show_last, rejected=[]).get_trials()]
    [0.5]
    """

    def __init__(
        self, study: optuna.Study, feedback: ConstraintFeedback, rejected: Sequence[InfeasibleProposal]
    ) -> None:
        vars(self).update(vars(study))  # the same study, storage and cache
        self._feedback = feedback
        self._rejected = rejected
        self._earlier = _find_latest_rejections(study.get_trials(deepcopy=False))

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        # A private method of Optuna's, by which its samplers read trials. There is no public way to show them
        # others; test_constrained_sampler.py fails when they read otherwise.
        trials = super()._get_trials(deepcopy=False, use_cache=use_cache)
        shown = self._feedback(trials, [*self._earlier, *self._rejected][-MOST_SHOWN:])
        if states is not None:
            shown = [trial for trial in shown if trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown


def _find_latest_rejections(trials: Sequence[FrozenTrial]) -> list[InfeasibleProposal]:
    """Return the last rejections of some trials, in order."""
    found: list[InfeasibleProposal] = []
    for trial in reversed(trials):
        found = [InfeasibleProposal(*one) for one in trial.user_attrs.get(REJECTED, ())] + found
        if len(found) >= MOST_SHOWN:
            break
    return found


def show_rejections(
    state: TrialState,
    num_startup: int,
    candidates: Candidates,
    trials: list[FrozenTrial],
    rejected: list[InfeasibleProposal],
) -> list[FrozenTrial]:
    """Return the trials that a sampler is shown: rejections before the study's own, once its startup is over.

    Args:
        state: of the rejections. TPE learns from pruned trials where not to look. A Gaussian process learns from
            completed ones that all have a constraint; the objectives of a rejection are unknown, and so they are
            set to the mean, which says nothing.
        num_startup: ended trials before the sampler learns.

    >>> from sweeps.config import SweepConfig
    >>> space = {"question": "?", "parameters": {"expansion": {"float": [1, 8]}}, "fixed": {"hidden_size": 64}}
    >>> config = SweepConfig(space=space, task={"name": "sudoku6"})
    >>> candidates = Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
    >>> trials, rejected = [optuna.trial.create_trial(value=1.0)], [InfeasibleProposal({"expansion": 7.5}, 0.25)]
    >>> [shown, _] = show_rejections(TrialState.PRUNED, 1, candidates, trials, rejected)
    >>> shown.number, shown.state.name, shown.params, shown.constraints
    (-1, 'PRUNED', {'expansion': 7.5}, {'budget': 0.25})
    """
    learned_from = LEARNED_FROM if state == TrialState.PRUNED else (TrialState.COMPLETE,)
    ended = [trial for trial in trials if trial.state in learned_from]
    if not rejected or len(ended) < num_startup:
        return trials
    values = None
    if state == TrialState.COMPLETE:
        values = np.mean([trial.values for trial in ended], axis=0).tolist()
        trials = [copy.copy(trial) for trial in trials]
        for trial in trials:
            if trial.state == TrialState.COMPLETE:
                trial.system_attrs = dict(trial.system_attrs)
                trial.set_constraint(CONSTRAINT, candidates.compute_violation(trial.params))
    shown = []
    for number, one in enumerate(rejected, -len(rejected)):
        trial = create_trial(
            state=state,
            values=values,
            params=one.params,
            distributions=candidates.distributions,
            constraints={CONSTRAINT: one.violation},
        )
        trial.number = number  # older than all of the study's
        shown.append(trial)
    return shown + trials
