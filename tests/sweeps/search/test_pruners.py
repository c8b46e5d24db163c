"""Every pruner goes through the same tests; what it decides is Optuna's own, held against Optuna here."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

import optuna
import pytest

from hrm.config.errors import ConfigError, UnknownNameError
from sweeps.search.pruners import PRUNERS, REMOVED, build_pruner, get_grace_period
from tests.sweeps.search_cases import PRUNER_SECTIONS

FEWEST_REPORTS = {"patient": 3, "none": 100}
"""Of a pruner that stops nothing in shorter runs."""


@pytest.mark.parametrize("num_reports", [1, 2, 5, 10, 27])
@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_stops_bad_trials_after_the_grace_and_pickles(name: str, num_reports: int) -> None:
    pruner = build_pruner(PRUNER_SECTIONS[name], num_reports)
    study = optuna.create_study(direction="maximize")
    for number in range(12):
        trial = study.ask()
        for step in range(1, num_reports + 1):
            study.pruner = pickle.loads(pickle.dumps(pruner))
            trial.report((1 - step / 1000) / (number + 1), step)
            if trial.should_prune():
                assert step >= get_grace_period(num_reports)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, 1 / (number + 1))
    pruned_any = any(trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials)
    assert pruned_any is (num_reports >= FEWEST_REPORTS.get(name, 1)), (
        "each trial is worse than all before it"
    )


@pytest.mark.parametrize(
    ("num_reports", "first"), [(1, 1), (4, 1), (5, 1), (6, 2), (10, 2), (11, 3), (20, 4)]
)
def test_grace_is_a_fifth_of_a_run_rounded_up(num_reports: int, first: int) -> None:
    assert get_grace_period(num_reports) == first


def ends(section: dict[str, Any], num_reports: int, values: Iterable[float]) -> list[int | None]:
    """The report at which each trial is pruned that reports its value always; None where it is not."""
    pruner = build_pruner(section, num_reports)
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name="ends")
    found = []
    for value in values:
        trial, end = study.ask(), None
        for step in range(1, num_reports + 1):
            trial.report(value, step)
            if trial.should_prune():
                end = step
                break
        study.tell(trial, None if end else value, optuna.trial.TrialState.PRUNED if end else None)
        found.append(end)
    return found


def test_options_pass_through() -> None:
    worse = [1 / (number + 1) for number in range(40)]
    hyperband = {"name": "hyperband", "min_resource": 1, "reduction_factor": 2}
    assert set(ends(hyperband, 8, worse)) == {1, 2, 4, 8, None}, "powers of 2 from 1 to 8"
    halving = {"name": "successive_halving", "min_early_stopping_rate": 1}
    assert set(ends(halving, 8, worse)) == {6, None}, "the first rung of grace 2 is left out"
    assert ends({"name": "percentile", "n_startup_trials": 2}, 8, worse[:4]) == [None, None, 2, 2]
    known = [*range(1, 11), 7.5]
    for percent, end in ((40, None), (25, 2)):
        section = {"name": "percentile", "percentile": percent, "n_startup_trials": 10}
        assert ends(section, 8, known)[-1] == end


def test_hyperband_counts_its_brackets_in_reports() -> None:
    worse = [1 / (number + 1) for number in range(40)]
    assert set(ends({"name": "hyperband"}, 10, worse)) == {2, 6, None}, (
        "rungs at reports 2 and 6, and at 6 alone"
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "hyperband", "min_resource": 0}, r"pruner.min_resource: given 0; must be at least 1"),
        (
            {"name": "hyperband", "reduction_factor": 1},
            r"pruner.reduction_factor: given 1; must be at least 2",
        ),
        (
            {"name": "successive_halving", "reduction_factor": 1},
            r"pruner.reduction_factor: given 1; must be at least 2",
        ),
        (
            {"name": "successive_halving", "min_resource": 0},
            r"pruner.min_resource: given 0; must be at least 1",
        ),
        ({"name": "percentile", "percentile": 101}, r"between 0 and 100"),
        ({"name": "threshold"}, r"needs pruner.lower, pruner.upper or both"),
        ({"name": "patient", "patience": -1}, r"patience cannot be negative"),
        ({"name": "median", "interval_steps": 0}, r"interval steps must be at least 1"),
    ],
)
def test_options_out_of_range_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_pruner(section, 10)


FIRST_STEPS = [
    ("hyperband", "min_resource"),
    ("successive_halving", "min_resource"),
    ("median", "n_warmup_steps"),
    ("percentile", "n_warmup_steps"),
    ("threshold", "n_warmup_steps"),
]


@pytest.mark.parametrize(("name", "option"), FIRST_STEPS)
def test_the_first_step_lies_before_the_end_of_runs(name: str, option: str) -> None:
    section = PRUNER_SECTIONS[name]
    build_pruner(section | {option: 9}, 10)
    for at in (10, 50):
        message = (
            rf"pruner.{option}: given {at}; nothing .* before validation {at}, and runs end at validation 10"
        )
        with pytest.raises(ConfigError, match=message):
            build_pruner(section | {option: at}, 10)


def test_what_puts_the_first_step_off_is_held_to_the_same() -> None:
    halving = {"name": "successive_halving", "min_resource": 3, "reduction_factor": 3}
    build_pruner(halving | {"min_early_stopping_rate": 1}, 10)
    with pytest.raises(ConfigError, match=r"pruner.min_early_stopping_rate: given 1; .* before validation 9"):
        build_pruner(halving | {"min_early_stopping_rate": 1}, 9)
    patient = build_pruner({"name": "patient", "wrapped": None, "patience": 7}, 10)
    trial = optuna.create_study(direction="maximize", pruner=patient).ask()
    decisions = []
    for step in range(1, 10):
        trial.report(-step, step)
        decisions.append(trial.should_prune())
    assert decisions == [False] * 8 + [True], "at validation 9"
    with pytest.raises(
        ConfigError, match=r"pruner.patience: given 8; .* before validation 10, and runs end at validation 10"
    ):
        build_pruner({"name": "patient", "patience": 8}, 10)


def test_unknown_pruners_and_options_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'hyperband'?"):
        build_pruner({"name": "hyperbnad"}, 10)
    with pytest.raises(UnknownNameError, match="Did you mean 'median'?"):
        build_pruner({"name": "patient", "wrapped": "medain"}, 10)
    with pytest.raises(UnknownNameError, match=r"pruner.wrapped: given 'none'; must be one of: .*median"):
        build_pruner({"name": "patient", "wrapped": "none"}, 10)
    with pytest.raises(UnknownNameError, match="Did you mean 'reduction_factor'?"):
        build_pruner({"name": "hyperband", "reduction": 3}, 10)
    with pytest.raises(ConfigError, match="none takes no options"):
        build_pruner({"name": "none", "percentile": 3}, 10)


@pytest.mark.parametrize("name", REMOVED)
def test_a_removed_pruner_is_refused_with_the_one_to_use_instead(name: str) -> None:
    assert REMOVED[name] in PRUNERS and name not in PRUNERS
    message = f"given '{name}'; was removed. Use pruner={REMOVED[name]} instead"
    with pytest.raises(ConfigError, match=message):
        build_pruner({"name": name, "margin": 2.0}, 10)
    with pytest.raises(ConfigError, match=f"pruner.wrapped: given '{name}'; was removed"):
        build_pruner({"name": "patient", "wrapped": name}, 10)
