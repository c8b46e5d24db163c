from __future__ import annotations

import math

import pytest

from hrm.config.errors import UnknownNameError
from sweeps.events import Validation
from sweeps.search.objectives import Objective, list_objective_names


def reports(*values: float | None, metric: str = "valid/blank_accuracy") -> list[Validation]:
    return [
        Validation(index=i, step=i, train_flops=i, train_seconds=i, eval_seconds=0, metrics={metric: value})
        for i, value in enumerate(values, start=1)
    ]


def test_the_last_report_counts() -> None:
    assert Objective.parse("valid/blank_accuracy").compute_value(reports(0.1, 0.5, 0.3)) == 0.3


def test_auc_is_the_mean_over_the_reports() -> None:
    assert Objective.parse("valid/blank_accuracy_auc").compute_value(reports(0.1, 0.5, 0.3)) == pytest.approx(
        0.3
    )


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_missing_number_is_missing_never_zero(missing: float | None) -> None:
    assert Objective.parse("valid/blank_accuracy").compute_value(reports(0.1, missing)) is None
    assert Objective.parse("valid/blank_accuracy").compute_value(reports(missing, 0.1)) == 0.1
    assert Objective.parse("valid/blank_accuracy_auc").compute_value(reports(missing, 0.1)) is None
    assert Objective.parse("valid/loss").compute_value(reports(0.1, 0.2)) is None
    assert Objective.parse("valid/loss_auc").compute_value([]) is None


def test_direction_comes_from_the_metric() -> None:
    directions = {name: Objective.parse(name).direction for name in list_objective_names()}
    assert directions["valid/loss"] == directions["valid/loss_auc"] == "minimize"
    assert {direction for name, direction in directions.items() if "accuracy" in name} == {"maximize"}


def test_sort_key_sorts_the_better_before() -> None:
    assert sorted([0.1, 0.9, 0.5], key=Objective.parse("valid/exact_accuracy").get_sort_key) == [
        0.9,
        0.5,
        0.1,
    ]
    assert sorted([0.1, 0.9, 0.5], key=Objective.parse("valid/loss_auc").get_sort_key) == [0.1, 0.5, 0.9]


@pytest.mark.parametrize("name", list_objective_names())
def test_the_verdict_compares_the_same_metric_on_test(name: str) -> None:
    assert Objective.parse(name).test_metric == name.replace("valid/", "test/").removesuffix("_auc")


@pytest.mark.parametrize(
    "name", ["valid/blank_acuracy", "test/exact_accuracy", "exact_accuracy", "", "valid/"]
)
def test_an_unknown_objective_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="must be one of: valid/accuracy, "):
        Objective.parse(name)


def test_a_typo_is_mended() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'valid/blank_accuracy'?"):
        Objective.parse("valid/blank_acuracy")
