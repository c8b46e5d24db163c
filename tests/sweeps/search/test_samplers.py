"""Every sampler goes through the same tests."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from hrm.config.errors import ConfigError, ImportPathError, UnknownNameError
from sweeps.search.constrained_sampler import KEY, ConstrainedSampler, find_exhausted_keys
from sweeps.search.samplers import SAMPLERS, SamplerContext, build_sampler
from tests.sweeps.search_cases import CONTINUOUS_SPACE, SPACE, TINY_SPACE, candidates_of, sweep_config
from tests.sweeps.small_sweep import list_all

optuna.logging.set_verbosity(optuna.logging.WARNING)


def search(name: str, space: dict[str, Any], num_trials: int, pickled: bool = False) -> list[dict[str, Any]]:
    """The configurations that a sampler tries one after the other on a made-up objective."""
    config = sweep_config(space=space, sampler={"name": name}, num_trials=12)
    candidates = candidates_of(config)
    study = optuna.create_study(direction="maximize")
    for number in range(num_trials):
        sampler = build_sampler(config, candidates, number, find_exhausted_keys(study.trials))
        study.sampler = pickle.loads(pickle.dumps(sampler)) if pickled else sampler
        trial = study.ask(dict(candidates.distributions))
        candidate = candidates.candidate(trial.params)
        assert candidate is not None, "over budget"
        trial.set_user_attr(KEY, candidate.key)
        study.tell(trial, -abs(np.log10(trial.params["lr"]) + 2.5) - trial.params["H_layers"])
    keys = [trial.user_attrs[KEY] for trial in study.trials]
    assert len(set(keys)) == len(keys), "a configuration was tried twice"
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize(
    ("name", "space"),
    [
        (name, space)
        for name in SAMPLERS
        for space in (SPACE, CONTINUOUS_SPACE)
        if (name, space["name"]) != ("grid", "continuous")
    ],
)
def test_every_sampler_proposes_feasible_new_configurations(name: str, space: dict[str, Any]) -> None:
    params = search(name, space, num_trials=8)
    assert params == search(name, space, num_trials=8, pickled=True), "neither pickling nor time matters"


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_walks_a_small_space_to_its_end(name: str) -> None:
    everything = list_all(candidates_of(sweep_config(space=TINY_SPACE)))
    params = search(name, TINY_SPACE, num_trials=len(everything))
    assert sorted(map(str, params)) == sorted(str(candidate.params) for candidate in everything)


@pytest.mark.parametrize("name", SAMPLERS)
def test_another_seed_gives_another_search(name: str) -> None:
    candidates = candidates_of(sweep_config())

    def first_four(seed: int) -> list[dict[str, Any]]:
        study = optuna.create_study()
        for number in range(4):
            config = sweep_config(sampler={"name": name}, seed=seed)
            study.sampler = build_sampler(config, candidates, number, find_exhausted_keys(study.trials))
            trial = study.ask(dict(candidates.distributions))
            trial.set_user_attr(KEY, str(number))
        return [trial.params for trial in study.trials]

    assert first_four(0) == first_four(0)
    assert first_four(0) != first_four(100)


def test_random_is_uniform_over_the_feasible_configurations() -> None:
    candidates = candidates_of(sweep_config(space=TINY_SPACE))
    everything = list_all(candidates)
    assert len(everything) == 4
    seen = []
    for seed in range(200):
        study = optuna.create_study()
        study.sampler = build_sampler(sweep_config(sampler={"name": "random"}, seed=seed), candidates, 0)
        seen.append(str(study.ask(dict(candidates.distributions)).params))
    counts = [seen.count(str(candidate.params)) for candidate in everything]
    assert sum(counts) == 200 and min(counts) > 30, "4 sigma below 50"


def test_tpe_draws_uniformly_until_its_startup_is_over() -> None:
    """Then its proposals differ from the uniform draws; pruned trials count, running and failed do not."""
    candidates = candidates_of(sweep_config())
    study = optuna.create_study(direction="maximize")
    state = optuna.trial.TrialState

    def next_params(name: str) -> dict[str, Any]:
        trial = optuna.trial.create_trial(state=state.RUNNING)
        trial.number, trial._trial_id = len(study.trials), 0
        # There is no stored trial to share lies with.
        options = {"constant_liar": False} if name == "tpe" else {}
        config = sweep_config(sampler={"name": name, **options}, num_trials=12)
        sampler = build_sampler(config, candidates, trial.number, find_exhausted_keys(study.trials))
        study._thread_local.cached_all_trials = None  # as `ask` does
        return sampler.sample_relative(study, trial, dict(candidates.distributions))

    everything = list_all(candidates)
    for number, end in enumerate([state.COMPLETE, state.FAIL, state.PRUNED]):
        candidate = everything[number]
        study.add_trial(
            optuna.trial.create_trial(
                state=end,
                value=None if end == state.FAIL else float(number),
                params=candidate.params,
                distributions=candidates.distributions,
                user_attrs={KEY: candidate.key},
            )
        )
        assert next_params("tpe") == next_params("random")
    candidate = everything[3]
    study.add_trial(
        optuna.trial.create_trial(
            value=9.0,
            params=candidate.params,
            distributions=candidates.distributions,
            user_attrs={KEY: candidate.key},
        )
    )
    assert next_params("tpe") != next_params("random")


def proposal(ended: int, sign: int, num_trials: int = 12, seed: int = 0, **sampler: Any) -> dict[str, Any]:
    """What a sampler proposes after some completed trials and next to a running one.

    Args:
        sign: of the completed trials' values, which a random draw does not heed.
    """
    config = sweep_config(space=CONTINUOUS_SPACE, sampler=sampler, num_trials=num_trials, seed=seed)
    candidates, rng = candidates_of(config), np.random.default_rng(0)
    study = optuna.create_study(direction="maximize", sampler=build_sampler(config, candidates, 0))
    for value in [*range(ended), None]:
        drawn = candidates.sample(rng, set())
        assert drawn is not None
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING if value is None else optuna.trial.TrialState.COMPLETE,
                value=None if value is None else float(sign * value),
                params=drawn.params,
                distributions=candidates.distributions,
            )
        )
    return study.ask(dict(candidates.distributions)).params


def test_a_gaussian_process_is_asked_without_a_word_from_optuna() -> None:
    """In a process of its own: Optuna speaks as its modules are imported."""
    program = "from tests.sweeps.search.test_samplers import proposal; proposal(5, 1, name='gp', n_startup_trials=1)"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("num_trials", "startup"), [(1, 3), (12, 3), (16, 4), (17, 5), (40, 10), (400, 10)])
@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_the_startup_is_a_quarter_of_the_search(name: str, num_trials: int, startup: int) -> None:
    for ended, heeds in ((startup - 1, False), (startup, True)):
        up, down = (
            [proposal(ended, sign, num_trials, seed, name=name) for seed in range(3)] for sign in (1, -1)
        )
        assert (up != down) is heeds, f"after {ended} trials"


def test_options_pass_through() -> None:
    assert proposal(1, 1, name="tpe", n_startup_trials=1) != proposal(1, 1, name="tpe")
    assert proposal(4, 1, name="tpe", n_ei_candidates=7) != proposal(4, 1, name="tpe")
    assert proposal(7, 1, name="tpe", constant_liar=False) != proposal(7, 1, name="tpe")
    assert proposal(2, 1, name="qmc", qmc_type="halton") != proposal(2, 1, name="qmc")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "tpe", "n_startup_trials": 0}, "sampler.n_startup_trials: given 0; must be at least 1"),
        ({"name": "tpe", "n_ei_candidates": 0}, "sampler.n_ei_candidates: given 0; must be at least 1"),
        ({"name": "gp", "n_startup_trials": -1}, "sampler.n_startup_trials: given -1; must be at least 1"),
        ({"name": "qmc", "qmc_type": "lattice"}, "halton"),
        ({"name": "random", "seed": 3}, "sampler.seed: given 3; random takes no options"),
    ],
)
def test_options_out_of_range_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_sampler(sweep_config(sampler=section), candidates_of(sweep_config()), 0)


def test_unknown_samplers_and_options_are_refused() -> None:
    with pytest.raises(
        UnknownNameError, match=r"one of: gp, grid, nsgaii, qmc, random, tpe. Did you mean 'tpe'\?"
    ):
        build_sampler(sweep_config(sampler={"name": "tpee"}), candidates_of(sweep_config()), 0)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'n_startup_trials'\?"):
        build_sampler(
            sweep_config(sampler={"name": "tpe", "startup_trials": 3}), candidates_of(sweep_config()), 0
        )


def test_a_grid_needs_a_finite_space() -> None:
    config = sweep_config(space=CONTINUOUS_SPACE, sampler={"name": "grid"})
    with pytest.raises(ConfigError, match=r"needs a finite space.*Give that parameter `num` values"):
        build_sampler(config, candidates_of(config), 0)


def test_a_rejected_proposal_is_snapped_to_its_nearest_neighbour() -> None:
    candidates = candidates_of(sweep_config())
    over_budget = {"H_layers": 4, "L_layers": 3, "lr": 1e-2}
    assert candidates.candidate(over_budget) is None
    study = optuna.create_study()
    study.sampler = ConstrainedSampler(candidates, Stubborn(over_budget), draws=3, seed=0)
    near = study.ask(dict(candidates.distributions)).params
    assert near in ({**over_budget, "H_layers": 3}, {**over_budget, "L_layers": 2})
    taken = candidates.candidate(near)
    assert taken is not None
    study.get_trials(deepcopy=False)[0].user_attrs[KEY] = taken.key
    study.sampler = ConstrainedSampler(
        candidates, Stubborn(over_budget), draws=3, seed=0, exhausted=find_exhausted_keys(study.trials)
    )
    again = study.ask(dict(candidates.distributions)).params
    assert again in ({**over_budget, "H_layers": 3}, {**over_budget, "L_layers": 2}) and again != near


class Stubborn(optuna.samplers.RandomSampler):
    """Proposes one configuration, always."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        self._params = params

    def sample_relative(self, *args: Any) -> dict[str, Any]:
        return dict(self._params)


def build_last(context: SamplerContext, *, offset: int = 0) -> optuna.samplers.BaseSampler:
    """A sampler from outside: the last configuration but `offset`, always."""
    candidates = list_all(context.candidates)
    assert candidates is not None
    return Stubborn(dict(candidates[-1 - offset].params))


def test_a_sampler_from_outside_is_named_by_its_import_path() -> None:
    config = sweep_config(sampler={"name": f"{__name__}:build_last", "offset": "2"})
    candidates = candidates_of(config)
    everything = list_all(candidates)
    study = optuna.create_study(sampler=build_sampler(config, candidates, 0))
    assert study.ask(dict(candidates.distributions)).params == everything[-3].params
    with pytest.raises(UnknownNameError, match=r"sampler: given 'offsett'; must be one of: offset"):
        build_sampler(sweep_config(sampler=config.sampler | {"offsett": 1}), candidates, 0)
    with pytest.raises(ImportPathError, match=r"sampler: given 'nowhere:build'; cannot be imported"):
        build_sampler(sweep_config(sampler={"name": "nowhere:build"}), candidates, 0)
