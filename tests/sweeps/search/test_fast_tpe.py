from __future__ import annotations

from collections.abc import Sequence

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.search.fast_tpe import FastTPESampler

SPACE: dict[str, BaseDistribution] = {
    "layers": IntDistribution(1, 8),
    "lr": FloatDistribution(1e-4, 1e-2, log=True),
    "expansion": FloatDistribution(1.0, 4.0, step=0.5),
    "kind": CategoricalDistribution(["a", "b", None]),
}
STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
VALUES = st.sampled_from([0.0, 0.25, 0.5, 0.5000001, 1.0, float("inf")])
"""Few, so that many are equal."""


@st.composite
def histories(draw: st.DrawFn, num_values: int = 1) -> list[FrozenTrial]:
    trials = []
    for _ in range(draw(st.integers(0, 40))):
        state = draw(st.sampled_from(STATES))
        told = draw(st.lists(VALUES | st.just(float("nan")), max_size=3)) if num_values == 1 else []
        trials.append(
            create_trial(
                state=state,
                values=[draw(VALUES) for _ in range(num_values)] if state == TrialState.COMPLETE else None,
                params={
                    "layers": draw(st.integers(1, 8)),
                    "lr": draw(st.floats(1e-4, 1e-2)),
                    "expansion": draw(st.sampled_from([1.0, 1.5, 4.0])),
                    "kind": draw(st.sampled_from(["a", "b", None])),
                },
                distributions=SPACE,
                intermediate_values=dict(enumerate(told, 1)),
            )
        )
    return trials


def proposals(
    sampler: TPESampler, history: Sequence[FrozenTrial], directions: Sequence[str], num: int
) -> list[dict]:
    study = optuna.create_study(directions=directions, sampler=sampler)
    study.add_trials(history)
    asked = study.ask()
    trial = study.get_trials()[asked.number]
    return [sampler.sample_relative(study, trial, SPACE) for _ in range(num)]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("constant_liar", [True, False])
@settings(max_examples=25, deadline=None)
@given(history=histories(), seed=st.integers(0, 9))
def test_it_proposes_what_optunas_own_proposes(
    direction: str, constant_liar: bool, history: list[FrozenTrial], seed: int
) -> None:
    def proposed(kind: type[TPESampler]) -> list[dict]:
        sampler = kind(n_startup_trials=2, seed=seed, constant_liar=constant_liar)
        return proposals(sampler, history, [direction], num=1)

    assert proposed(FastTPESampler) == proposed(TPESampler)


@settings(max_examples=15, deadline=None)
@given(
    ends=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(STATES[:3]), VALUES), min_size=8, max_size=20)
)
def test_it_does_so_as_a_study_goes_on(ends: list[tuple[int, TrialState, float]]) -> None:
    """Three trials run at a time, and end in any order and in any state."""

    def course(kind: type[TPESampler]) -> list[dict]:
        study = optuna.create_study(direction="maximize")
        running: list[optuna.Trial] = []
        for which, state, value in ends:
            while len(running) < 3:
                number = len(study.trials)
                study.sampler = optuna.samplers.RandomSampler(seed=number)
                if number > 4:  # of a seed of its own, and all parameters at once
                    study.sampler = kind(
                        n_startup_trials=2, seed=number, constant_liar=True, multivariate=True
                    )
                    study.sampler.infer_relative_search_space = lambda *_: SPACE
                running.append(study.ask(SPACE))
            ended = running.pop(which)
            ended.report(value, step=1)
            study.tell(ended, value if state == TrialState.COMPLETE else None, state)
        return [trial.params for trial in study.trials]

    assert course(FastTPESampler) == course(TPESampler)


@settings(max_examples=15, deadline=None)
@given(history=histories(num_values=2), seed=st.integers(0, 9))
def test_it_does_so_with_several_objectives(history: list[FrozenTrial], seed: int) -> None:
    def proposed(kind: type[TPESampler]) -> list[dict]:
        return proposals(kind(n_startup_trials=2, seed=seed), history, ["maximize", "minimize"], num=2)

    assert proposed(FastTPESampler) == proposed(TPESampler)


def test_it_ranks_many_trials_as_optuna_does() -> None:
    """More than a tenth of which is the most that counts as good, so that not all completed ones do."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")
    for number in range(400):
        trial = study.ask(SPACE)
        study.tell(trial, number % 7)
    history = study.get_trials()
    own, optunas = (
        proposals(kind(seed=1), history, ["maximize"], num=1) for kind in (FastTPESampler, TPESampler)
    )
    assert own == optunas


def test_what_follows_the_first_proposal_is_drawn_from_the_same_densities() -> None:
    """A hundred proposals of each in a study that knows where it is good agree on where that is."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")
    for _ in range(60):
        trial = study.ask(SPACE)
        study.tell(trial, -abs(trial.params["layers"] - 6) + (trial.params["kind"] == "b"))
    own, optunas = (
        proposals(kind(seed=1), study.get_trials(), ["maximize"], num=100)
        for kind in (FastTPESampler, TPESampler)
    )
    assert len({str(params) for params in own}) == 100
    for found in (own, optunas):
        assert sum(5 <= params["layers"] <= 7 for params in found) >= 90
        assert sum(params["kind"] == "b" for params in found) >= 60
