"""The samplers: who proposes the next configuration. To add one: a function and a line.

Each is wrapped by `sweeps.search.constrained_sampler`, which keeps its proposals feasible and new. One is built
afresh for every trial, from the sweep's configuration and the trial's number: what it knows lies in the study.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from hrm.config.errors import ConfigError
from sweeps.config import SweepConfig
from sweeps.search.fast_tpe import FastTPESampler
from sweeps.search.named_options import at_least, call_named
from sweeps.search.seeds import suggestion_seed
from sweeps.space.candidates import Candidates


@dataclass(frozen=True)
class Setting:
    """What a sampler may know besides the study.

    Args:
        candidates: the feasible configurations.
        num_trials: length of the search.
        sweep_seed: the same for every trial.
        trial_seed: derived from the sweep's seed and the trial's number.
    """

    candidates: Candidates
    num_trials: int
    sweep_seed: int
    trial_seed: int


def build_sampler(config: SweepConfig, candidates: Candidates, number: int) -> tuple[BaseSampler, int]:
    """The sampler that `config` names, for trial `number`, and how often to ask it before giving way.

    Raises:
        UnknownNameError: no such sampler or option.
        ConfigError: an option is out of range, or the sampler does not suit the space.
    """
    setting = Setting(candidates, config.num_trials, config.seed, suggestion_seed(config.seed, number))
    builders = {name: entry.build for name, entry in SAMPLERS.items()}
    sampler = call_named(builders, config.sampler, "sampler", setting)
    return sampler, SAMPLERS[config.sampler["name"]].draws


def tpe(
    setting: Setting,
    *,
    n_startup_trials: int | None = None,
    n_ei_candidates: int = 24,
    constant_liar: bool = True,
) -> BaseSampler:
    """Multivariate tree-structured Parzen estimators (Bergstra et al. 2011; Watanabe, arXiv 2304.11127).

    For most searches: cheap to ask, learns from pruned trials too, knows grids, lists and continuous parameters.

    Args:
        n_startup_trials: uniform draws before the model is trusted; null is a quarter of `num_trials`, 3 to 10.
        n_ei_candidates: draws from the density of good trials, of which the most promising is proposed.
        constant_liar: a running trial counts as a bad one, so that slots do not all propose the same.
    """
    at_least("sampler.n_ei_candidates", n_ei_candidates, 1)
    return FastTPESampler(
        n_startup_trials=_startup(setting, n_startup_trials),
        n_ei_candidates=n_ei_candidates,
        constant_liar=constant_liar,
        seed=setting.trial_seed,
    )


def random(setting: Setting) -> BaseSampler:
    """Uniform over the feasible configurations, without replacement: its wrapper draws them.

    As a control, or where nothing may depend on earlier results.
    """
    return optuna.samplers.RandomSampler(seed=setting.trial_seed)


def grid(setting: Setting) -> BaseSampler:
    """Every feasible configuration once, in an order shuffled by the sweep's seed.

    To cover a small finite space whole, with `pruner=none` and `num_trials` at its number of configurations.
    """
    return GridSampler(setting.candidates, setting.sweep_seed)


def gp(
    setting: Setting, *, n_startup_trials: int | None = None, deterministic_objective: bool = False
) -> BaseSampler:
    """A Gaussian process with expected improvement; learns from completed trials only.

    For tens of trials over continuous parameters, with little pruning; costs more to ask, the more have completed.

    Args:
        n_startup_trials: uniform draws before the model is trusted; null is a quarter of `num_trials`, 3 to 10.
        deterministic_objective: true fits no noise: a configuration is taken to come out the same on any seed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.GPSampler(
            n_startup_trials=_startup(setting, n_startup_trials),
            deterministic_objective=deterministic_objective,
            seed=setting.trial_seed,
        )


def nsgaii(
    setting: Setting,
    *,
    population_size: int | None = None,
    mutation_prob: float | None = None,
    crossover_prob: float = 0.9,
    swapping_prob: float = 0.5,
) -> BaseSampler:
    """A genetic algorithm, sorting by non-domination (Deb et al. 2002); breeds from completed trials only.

    For several objectives with hundreds of trials: it needs generations.

    Args:
        population_size: trials of a generation; null is a fifth of `num_trials`, 4 to 50.
        mutation_prob: chance that a parameter is drawn afresh; null is one over their number.
        crossover_prob: chance that a child has two parents instead of one.
        swapping_prob: chance that the second parent's value of a parameter is taken, where there are two.
    """
    if population_size is None:
        population_size = min(50, max(4, -(-setting.num_trials // 5)))
    return optuna.samplers.NSGAIISampler(
        population_size=population_size,
        mutation_prob=mutation_prob,
        crossover_prob=crossover_prob,
        swapping_prob=swapping_prob,
        seed=setting.trial_seed,
    )


def qmc(setting: Setting, *, qmc_type: str = "sobol", scramble: bool = True) -> BaseSampler:
    """A quasi-random sequence (`sobol` or `halton`), less the points that are infeasible or met before.

    To spread trials evenly over a continuous space, where nothing may depend on earlier results.

    Args:
        qmc_type: the sequence: `sobol` or `halton`.
        scramble: shuffled by the sweep's seed; false is the same sequence under every seed.
    """
    # Its seed is the sweep's: all trials walk one sequence, whose position lies in the study.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.QMCSampler(qmc_type=qmc_type, scramble=scramble, seed=setting.sweep_seed)


class Entry(NamedTuple):
    build: Callable[..., BaseSampler]
    draws: int
    """Proposals to draw before snapping the first to the nearest configuration that is feasible and new.
    A Gaussian process costs much to ask and repeats itself; an estimator draws afresh at little cost."""
    learns: bool = True
    """Whether a proposal depends on what earlier trials have come to."""


SAMPLERS: dict[str, Entry] = {
    "tpe": Entry(tpe, draws=24),
    "random": Entry(random, draws=1, learns=False),
    "grid": Entry(grid, draws=1, learns=False),
    "gp": Entry(gp, draws=2),
    "qmc": Entry(qmc, draws=24),
    "nsgaii": Entry(nsgaii, draws=24),
}


class GridSampler(BaseSampler):
    """Trial i gets the i-th feasible configuration of a seeded shuffle; replicates follow in the same order.

    Raises:
        ConfigError: the space is continuous, so that it has no grid.
    """

    def __init__(self, candidates: Candidates, seed: int) -> None:
        if candidates.all() is None:
            raise ConfigError(
                "sampler.name", "grid", "needs a finite space, and this one has a continuous parameter",
                "Give that parameter `num` values, or take another sampler.",
            )  # fmt: skip
        self._candidates = candidates
        self._seed = seed

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(trial.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        everything = self._candidates.all()
        assert everything is not None
        order = np.random.default_rng(self._seed).permutation(len(everything))
        return dict(everything[int(order[trial.number % len(order)])].params)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        raise AssertionError("a grid proposes whole configurations")


def _startup(setting: Setting, given: int | None) -> int:
    """Uniform draws before a model is trusted: a quarter of the search, 3 to Optuna's own 10."""
    if given is None:
        return min(10, max(3, -(-setting.num_trials // 4)))
    at_least("sampler.n_startup_trials", given, 1)
    return given
