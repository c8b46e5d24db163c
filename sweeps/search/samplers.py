"""The samplers, which propose the next configuration. To add one: a function and a line in `SAMPLERS`.

Each is wrapped by a `ConstrainedSampler`, which keeps its proposals feasible and new. One is built anew for every
trial, from the sweep's configuration and the trial's number: what it learned is in the study.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import import_object, is_import_path
from sweeps.config import SweepConfig, build_named, check_at_least
from sweeps.search.constrained_sampler import ConstrainedSampler, show_rejections
from sweeps.search.fast_tpe import FastTPESampler
from sweeps.search.seeds import derive_suggestion_seed
from sweeps.space.candidates import Candidates


@dataclass(frozen=True)
class SamplerContext:
    """All that a sampler may know besides the study.

    Args:
        candidates: the feasible configurations.
        num_trials: length of the search.
        sweep_seed: the same in every trial.
        trial_seed: derived from the sweep's seed and the trial's number.
    """

    candidates: Candidates
    num_trials: int
    sweep_seed: int
    trial_seed: int


def build_sampler(
    config: SweepConfig, candidates: Candidates, number: int, exhausted: Collection[str] = ()
) -> ConstrainedSampler:
    """Build the sampler that `config` names, for trial `number`.

    Args:
        exhausted: keys of configurations that get no further trial.

    Raises:
        UnknownNameError: no such sampler or option.
        ConfigError: an option is out of range, or the sampler does not suit the space.

    >>> space = {"name": "s", "question": "?", "parameters": {"H_layers": [1, 2, 3]}, "fixed": {"hidden_size": 64}}
    >>> config = SweepConfig(space=space, sampler={"name": "grid"}, task={"name": "sudoku6"})
    >>> candidates = Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
    >>> study = optuna.create_study(sampler=build_sampler(config, candidates, number=0))
    >>> study.ask(candidates.distributions).params
    {'H_layers': 3}
    """
    seed = derive_suggestion_seed(config.seed, number)
    context = SamplerContext(candidates, config.num_trials, config.seed, seed)
    name = str(config.sampler.get("name"))
    entry = find_sampler(name)
    inner = build_named({name: entry.build}, config.sampler, "sampler", context)
    feedback = None
    # Where shapes are enumerated, an infeasible proposal is snapped to what fits, and nothing need be learned.
    if entry.feedback is not None and candidates.shapes is None:
        num_startup = _count_startup_trials(context, config.sampler.get("n_startup_trials"))
        feedback = partial(entry.feedback, num_startup, candidates)
    return ConstrainedSampler(candidates, inner, entry.draws, seed, exhausted, feedback)


def build_tpe(
    context: SamplerContext,
    *,
    n_startup_trials: int | None = None,
    n_ei_candidates: int = 24,
    constant_liar: bool = True,
) -> BaseSampler:
    """Fit multivariate tree-structured Parzen estimators (Bergstra et al. 2011; Watanabe, arXiv 2304.11127).

    For most searches: suggests quickly, learns from pruned trials, handles grids, lists and continuous parameters.

    Args:
        n_startup_trials: uniform draws before the model is used; null is a quarter of `num_trials`, 3 to 10.
        n_ei_candidates: draws from the density of good trials, of which the most promising is proposed.
        constant_liar: a running trial counts as a bad one, so that workers do not all get the same proposal.
    """
    check_at_least("sampler.n_ei_candidates", n_ei_candidates, 1)
    return FastTPESampler(
        n_startup_trials=_count_startup_trials(context, n_startup_trials),
        n_ei_candidates=n_ei_candidates,
        constant_liar=constant_liar,
        seed=context.trial_seed,
    )


def build_random(context: SamplerContext) -> BaseSampler:
    """Draw uniformly from the feasible configurations, without replacement.

    As a control, or if trials must not depend on earlier results.
    """
    # It proposes nothing, and so the constrained sampler draws.
    return optuna.samplers.RandomSampler(seed=context.trial_seed)


def build_grid(context: SamplerContext) -> BaseSampler:
    """Try every feasible configuration once, in an order shuffled by the sweep's seed.

    To cover a small finite space completely, with `pruner=none` and `num_trials` at its number of configurations.
    """
    return GridSampler(context.candidates, context.sweep_seed)


def build_gp(
    context: SamplerContext, *, n_startup_trials: int | None = None, deterministic_objective: bool = False
) -> BaseSampler:
    """Fit a Gaussian process and maximize expected improvement; learns from completed trials only.

    For tens of trials over continuous parameters with little pruning; it gets slower with more completed trials.

    Args:
        n_startup_trials: uniform draws before the model is used; null is a quarter of `num_trials`, 3 to 10.
        deterministic_objective: assume that a configuration has the same value on every seed, and fit no noise.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.GPSampler(
            n_startup_trials=_count_startup_trials(context, n_startup_trials),
            deterministic_objective=deterministic_objective,
            seed=context.trial_seed,
        )


def build_nsgaii(
    context: SamplerContext,
    *,
    population_size: int | None = None,
    mutation_prob: float | None = None,
    crossover_prob: float = 0.9,
    swapping_prob: float = 0.5,
) -> BaseSampler:
    """Run a genetic algorithm with non-dominated sorting (Deb et al. 2002) on completed trials only.

    For several objectives with hundreds of trials: it needs generations.

    Args:
        population_size: trials of a generation; null is a fifth of `num_trials`, 4 to 50.
        mutation_prob: probability that a parameter is drawn again; null is one over their number.
        crossover_prob: probability that a child has two parents instead of one.
        swapping_prob: probability that a parameter comes from the second parent, if there are two.
    """
    if population_size is None:
        population_size = min(50, max(4, -(-context.num_trials // 5)))
    return optuna.samplers.NSGAIISampler(
        population_size=population_size,
        mutation_prob=mutation_prob,
        crossover_prob=crossover_prob,
        swapping_prob=swapping_prob,
        seed=context.trial_seed,
    )


def build_qmc(context: SamplerContext, *, qmc_type: str = "sobol", scramble: bool = True) -> BaseSampler:
    """Walk a quasi-random sequence (`sobol` or `halton`), without points that are infeasible or were tried.

    To spread trials evenly over a continuous space, if they must not depend on earlier results.

    Args:
        qmc_type: the sequence: `sobol` or `halton`.
        scramble: shuffle the sequence by the sweep's seed; false is the same sequence for every seed.
    """
    # Its seed is the sweep's: all trials walk one sequence, whose position is in the study.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.QMCSampler(qmc_type=qmc_type, scramble=scramble, seed=context.sweep_seed)


class SamplerEntry(NamedTuple):
    """A sampler and how the constrained sampler uses it."""

    build: Callable[..., BaseSampler]
    draws: int
    """Proposals to draw before snapping the first to the nearest configuration that is feasible and new.
    A Gaussian process is slow to ask and repeats itself; an estimator draws anew at little cost."""
    learns: bool = True
    """True if a proposal depends on the results of earlier trials."""
    feedback: Callable[..., list[FrozenTrial]] | None = None
    """Shows the sampler what was infeasible. None for one that cannot learn it: a genetic algorithm breeds from
    trials, all of which fit."""


SAMPLERS: dict[str, SamplerEntry] = {
    "tpe": SamplerEntry(build_tpe, draws=24, feedback=partial(show_rejections, TrialState.PRUNED)),
    "random": SamplerEntry(build_random, draws=1, learns=False),
    "grid": SamplerEntry(build_grid, draws=1, learns=False),
    "gp": SamplerEntry(build_gp, draws=2, feedback=partial(show_rejections, TrialState.COMPLETE)),
    "qmc": SamplerEntry(build_qmc, draws=24),
    "nsgaii": SamplerEntry(build_nsgaii, draws=24),
}


def find_sampler(name: str) -> SamplerEntry:
    """Return a sampler of `SAMPLERS`, or one from outside by its import path.

    That is a function like those here: it takes a `SamplerContext` and its options as keyword-only parameters, and
    returns an Optuna sampler.

    Raises:
        UnknownNameError: no such sampler.
        ImportPathError: the path cannot be imported.

    >>> find_sampler("random").learns, find_sampler("sweeps.search.samplers:build_random").learns
    (False, True)
    """
    if name in SAMPLERS:
        return SAMPLERS[name]
    if not is_import_path(name):
        raise UnknownNameError.among("sampler.name", name, SAMPLERS)
    return SamplerEntry(import_object(name, "sampler", FunctionType), draws=24)


class GridSampler(optuna.samplers.RandomSampler):
    """Proposes the i-th feasible configuration of a seeded shuffle for trial i; replicates follow in the same order.

    Raises:
        ConfigError: the space is continuous, so that it has no grid.

    >>> space = {"question": "?", "parameters": {"H_layers": [1, 2, 3]}, "fixed": {"hidden_size": 64}}
    >>> config = SweepConfig(space=space, task={"name": "sudoku6"})
    >>> candidates = Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
    >>> sampler, study = GridSampler(candidates, seed=0), optuna.create_study()
    >>> trials = [optuna.trial.create_trial(value=0.0) for _ in range(3)]
    >>> study.add_trials(trials)
    >>> [sampler.sample_relative(study, trial, {})["H_layers"] for trial in study.get_trials()]
    [3, 1, 2]
    """

    def __init__(self, candidates: Candidates, seed: int) -> None:
        super().__init__()
        num_trials = candidates.num_feasible_trials
        if num_trials is None:
            rule = "needs a finite space, and this one has a continuous parameter"
            hint = "Give that parameter `num` values, or take another sampler."
            raise ConfigError("sampler.name", "grid", rule, hint)
        self._candidates, self._num_trials, self._seed = candidates, num_trials, seed

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        order = np.random.default_rng(self._seed).permutation(self._num_trials)
        return dict(self._candidates.get(int(order[trial.number % len(order)])).params)


def _count_startup_trials(context: SamplerContext, given: int | None) -> int:
    """Return the uniform draws before a model is trusted: a quarter of the search, 3 to Optuna's own 10."""
    if given is None:
        return min(10, max(3, -(-context.num_trials // 4)))
    check_at_least("sampler.n_startup_trials", int(given), 1)
    return int(given)
