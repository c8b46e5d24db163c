from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from hrm.config.errors import UnknownNameError
from sweeps.config import StopConfig
from sweeps.search import study as study_module
from sweeps.search.constrained_sampler import KEY, find_exhausted_keys
from sweeps.search.pruners import PRUNERS, build_pruner
from sweeps.search.samplers import SAMPLERS, build_sampler
from sweeps.search.study import SweepStudy, get_study_name
from tests.sweeps.search_cases import PRUNER_SECTIONS, TINY_SPACE, candidates_of, sweep_config

NUM_REPORTS = 5
PAIRS = [*((sampler, "hyperband") for sampler in SAMPLERS), *(("random", pruner) for pruner in PRUNERS)]
"""Every sampler and every pruner at least once."""


def make_study(journal: Path | None = None, slots: int = 1, **overrides: Any) -> SweepStudy:
    config = sweep_config(**overrides)
    return SweepStudy(config, candidates_of(config), journal, slots)


def value_at(params: dict[str, Any], index: int) -> float:
    """A made-up curve: higher with few H layers, and rising."""
    return index / NUM_REPORTS * (1 / params["H_layers"] + 0.01 * params["L_layers"] + params["lr"])


def train(study: SweepStudy, number: int, params: dict[str, Any]) -> int:
    """Trains trial `number` until it ends or is pruned; returns the last report's index."""
    for index in range(1, NUM_REPORTS + 1):
        study.report(number, {index: [value_at(params, index)]})
        if index < NUM_REPORTS and study.should_prune(number):
            study.tell(number, "pruned")
            return index
    study.tell(number, "completed", [value_at(params, NUM_REPORTS)])
    return NUM_REPORTS


def run(study: SweepStudy, num_trials: int) -> list[tuple[dict[str, Any], int]]:
    """Parameters and last report of the next trials, one after the other."""
    ended = []
    for job in range(num_trials):
        number = study.num_trials
        assert study.is_ready(number)
        candidate = study.ask(number, job)
        ended.append((candidate.params, train(study, number, candidate.params)))
    return ended


def plain_optuna(num_trials: int, sampler: str, pruner: str) -> list[tuple[dict[str, Any], int]]:
    """The same search as a newcomer would write it with Optuna alone, without our storage and study."""
    config = sweep_config(sampler={"name": sampler}, pruner=PRUNER_SECTIONS[pruner])
    candidates = candidates_of(config)
    study = optuna.create_study(
        study_name=get_study_name(config),
        direction="maximize",
        pruner=build_pruner(config.pruner, NUM_REPORTS),
    )
    ended = []
    for number in range(num_trials):
        study.sampler = build_sampler(config, candidates, number, find_exhausted_keys(study.trials))
        trial = study.ask(dict(candidates.distributions))
        candidate = candidates.candidate(trial.params)
        assert candidate is not None
        trial.set_user_attr(KEY, candidate.key)
        for index in range(1, NUM_REPORTS + 1):
            trial.report(value_at(trial.params, index), index)
            if index < NUM_REPORTS and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, value_at(trial.params, NUM_REPORTS))
        ended.append((trial.params, index))
    return ended


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_one_slot_is_plain_sequential_optuna(sampler: str, pruner: str, deterministic: bool) -> None:
    study = make_study(sampler={"name": sampler}, pruner=PRUNER_SECTIONS[pruner], deterministic=deterministic)
    num_trials = 16 if sampler == "random" else 8
    ended = run(study, num_trials)
    assert ended == plain_optuna(num_trials, sampler, pruner)
    assert any(last < NUM_REPORTS for _, last in ended) is (pruner not in ("none", "patient")), (
        "all curves rise"
    )


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_reopened_journal_goes_on_as_if_never_closed(tmp_path: Path, sampler: str, pruner: str) -> None:
    options: dict[str, Any] = {"sampler": {"name": sampler}, "pruner": PRUNER_SECTIONS[pruner]}
    whole = run(make_study(**options), 8)
    parts = [run(make_study(tmp_path / "journal", **options), num) for num in (5, 3)]
    assert [*itertools.chain(*parts)] == whole


def test_a_trial_may_go_on_after_reopening(tmp_path: Path) -> None:
    candidate = make_study(tmp_path / "journal").ask(0, job=0)
    make_study(tmp_path / "journal").report(0, {1: [0.5]})
    assert not make_study(tmp_path / "journal").is_ready(1)
    reopened = make_study(tmp_path / "journal")
    assert not reopened.should_prune(0)
    reopened.tell(0, "completed", [0.75])
    trial = reopened.optuna_study.trials[0]
    assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.COMPLETE, 0.75, {1: 0.5})
    assert trial.params == candidate.params


def test_each_end_has_its_state(tmp_path: Path) -> None:
    study = make_study(tmp_path / "journal", slots=3)
    for number, job in enumerate((5, 6, 7)):
        study.ask(number, job)
    for number in (0, 1):
        study.report(number, {1: [0.25]})
    study.tell(0, "completed", [0.5])
    study.tell(1, "pruned")
    study.tell(2, "failed", error="Diverged: loss is nan at step 3")
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    [summary] = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert [trial.value for trial in trials] == [0.5, 0.25, None]
    assert trials[2].user_attrs["error"] == "Diverged: loss is nan at step 3"
    assert "error" not in trials[1].user_attrs
    assert [trial.user_attrs["job"] for trial in trials] == [5, 6, 7]


def test_the_journal_says_what_was_tried() -> None:
    study = make_study(seed=4, objective="valid/loss_auc")
    candidate = study.ask(0, job=9)
    attributes = study.optuna_study.trials[0].user_attrs
    assert attributes["num_params"] == candidate.num_params <= 527490
    assert attributes["flops_per_step"] == candidate.flops_per_step
    assert attributes["architecture"] == candidate.architecture
    assert attributes["key"] == candidate.key
    assert attributes["steps"] == candidate.run.train.steps
    assert json.loads(attributes["values"]) == candidate.values
    told = study.optuna_study.user_attrs
    assert told["space"] == "small" and told["objective"] == "valid/loss_auc" and told["seed"] == 4
    assert study.optuna_study.direction == optuna.study.StudyDirection.MINIMIZE


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_the_next_trial_waits_for_all_that_it_must_see(slots: int) -> None:
    study = make_study(slots=slots)
    for number in range(slots):
        assert study.is_ready(number)
        study.ask(number, job=number)
    assert not study.is_ready(slots)
    for number in range(slots - 1, 0, -1):
        study.tell(number, "completed", [0.5])
        assert not study.is_ready(slots), "trial 0 is still running"
    study.tell(0, "failed", error="gone")
    assert study.is_ready(slots)


def test_without_determinism_nothing_waits() -> None:
    study = make_study(slots=2, deterministic=False)
    for number in range(5):
        assert study.is_ready(number)
        study.ask(number, job=number)


def test_an_ended_small_space_is_exhausted() -> None:
    study = make_study(space=TINY_SPACE, slots=9)
    for number in range(4):
        assert not study.is_exhausted(number)
        study.ask(number, job=number)
    assert study.is_exhausted(4)


def test_hyperband_draws_the_same_brackets_for_the_same_command() -> None:
    """The bracket is a hash of study name and trial number, so the name must not hold a time or a folder."""
    assert get_study_name(sweep_config(seed=3)) == "small-seed3"


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"sampler": {"name": "tpee"}}, "sampler.name"),
        ({"pruner": {"name": "hyper"}}, "pruner.name"),
        ({"objective": "valid/precision"}, "objective"),
    ],
)
def test_a_bad_search_is_refused_before_anything_is_written(
    tmp_path: Path, overrides: dict[str, Any], where: str
) -> None:
    with pytest.raises(UnknownNameError, match=where):
        make_study(tmp_path / "journal", **overrides)
    assert not list(tmp_path.iterdir())


def test_a_kill_while_a_pruner_decides_lets_no_trial_pass_its_rung(tmp_path: Path) -> None:
    """The rung is in the journal, the decision is not: asked again, it is the same."""
    halving = {"name": "successive_halving", "min_resource": 1}
    study = make_study(tmp_path / "journal", pruner=halving)
    for job, value in enumerate((0.9, 0.8, 0.7)):
        number = study.num_trials
        study.ask(number, job)
        study.report(number, {1: [value]})
        stopped = study.should_prune(number)
        again = make_study(tmp_path / "journal", pruner=halving)
        assert again.should_prune(number) is stopped is (job > 0)
        study = again
        study.tell(number, "pruned" if stopped else "completed", [value])


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, False),
        ({"sampler": {"name": "grid"}}, False),
        ({"deterministic": False, "sampler": {"name": "tpe"}}, False),
        ({"sampler": {"name": "tpe"}}, True),
        ({"sampler": {"name": "qmc"}}, True),
        ({"pruner": {"name": "median"}}, True),
        ({"replicates": 2}, True),
        ({"stop": StopConfig(flops="1e12")}, True),
        ({"stop": StopConfig(no_improvement=2)}, True),
    ],
)
def test_a_trial_waits_for_earlier_ones_only_where_it_looks_back_on_them(
    changes: dict[str, Any], waits: bool
) -> None:
    alone = {"sampler": {"name": "random"}, "pruner": {"name": "none"}}
    study = make_study(slots=2, **{**alone, **changes})
    for job in range(2):
        assert study.is_ready(job)
        study.ask(job, job)
    assert study.is_ready(2) is not waits


def test_an_extension_may_make_trials_wait() -> None:
    study = make_study(slots=1, sampler={"name": "random"}, pruner={"name": "none"})
    study.ask(0, job=0)
    assert study.is_ready(1)
    study.extend(dataclasses.replace(study._config, stop=StopConfig(no_improvement=2)))
    assert not study.is_ready(1)


@pytest.mark.parametrize("several", [False, True])
def test_repeated_calls_change_nothing(tmp_path: Path, several: bool) -> None:
    """A resumed sweep makes the calls of the stopped one again, on the same journal."""
    options: dict[str, Any] = {"resume_pruned": 1, "slots": 3, "pruner": {"name": "median"}}
    if several:
        options |= {"objectives": ["valid/blank_accuracy", "params"]}
    journal = tmp_path / "journal"

    def values(*first: float) -> dict[int, list[float]]:
        return {step: [value, 1000.0][: 1 + several] for step, value in enumerate(first, 1)}

    def replay(num_calls: int) -> list[Any]:
        study = make_study(journal, **options)
        calls = [
            lambda: study.ask(0, job=4).params,
            lambda: study.ask(1, job=5).params,
            lambda: study.report(0, values(0.5)),
            lambda: study.ask(2, job=6).params,
            lambda: study.report(0, values(0.5, 0.75)),
            lambda: study.tell(0, "completed", values(0.75)[1]),
            lambda: study.report(1, values(0.25)),
            lambda: study.tell(1, "pruned"),
            lambda: study.tell(2, "failed", error="Diverged"),
            lambda: study.resume_trial(3, pruned=1),
            lambda: study.report(3, values(0.25, 0.5)),
            lambda: study.tell(3, "completed", values(0.5)[1]),
        ]
        found = []
        for call in calls[:num_calls]:
            before = journal.read_bytes()
            found.append(call())
            assert num_calls < len(calls) or journal.read_bytes() == before
        return found

    first = [replay(num_calls) for num_calls in range(1, 12)][-1]
    make_study(journal, **options).tell(3, "completed", values(0.5)[1])
    assert replay(12)[:11] == first
    study = make_study(journal, **options)
    assert study.num_trials == 4 and study.is_ready(3) and not study.is_exhausted(3)
    states = [trial.state.name for trial in study.optuna_study.trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]


def test_a_stored_trial_is_not_asked_of_the_sampler_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = make_study(tmp_path / "journal").ask(0, job=0)
    reopened = make_study(tmp_path / "journal")
    monkeypatch.setattr(study_module, "build_sampler", None)
    assert reopened.ask(0, job=0) == asked
