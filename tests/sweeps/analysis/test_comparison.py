"""Verdicts: planted differences are found, none is made up, and what cannot be judged is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sweeps.analysis.comparison import Verdict, compare, read_arms
from tests.sweeps.confirmed_table import metadata, trials

scores = st.lists(st.integers(0, 1000).map(lambda hits: hits / 1000), min_size=2, max_size=5)
OPPOSITE: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
GOOD, POOR = [0.90, 0.91, 0.92], [0.70, 0.71, 0.72]


def verdicts(arms: dict, **changes: object) -> dict[str, str]:
    """By metric, for one finalist and one baseline."""
    found = compare(trials(arms), metadata(**changes))
    return {pair.metric: pair.verdict for pair in found.all}


def test_a_planted_difference_is_found_and_signed() -> None:
    assert set(verdicts({"trial 1": GOOD, "preset": POOR}).values()) == {"better"}
    assert set(verdicts({"trial 1": POOR, "preset": GOOD}).values()) == {"worse"}


def test_the_p_value_is_scipys() -> None:
    (pair, _) = compare(trials({"trial 1": [0.5, 0.6, 0.8], "preset": [0.4, 0.45, 0.5]}), metadata()).all
    wanted = stats.ttest_ind([0.5, 0.6, 0.8], [0.4, 0.45, 0.5], equal_var=False).pvalue
    assert pair.p_adjusted == pytest.approx(wanted) and pair.verdict == "not distinguishable"
    assert pair.detectable_difference is not None and pair.detectable_difference > 0.15


def test_several_comparisons_are_corrected_within_their_metric() -> None:
    arms = {
        "trial 1": [0.80, 0.82, 0.85],
        "trial 2": [0.6, 0.7, 0.8],
        "preset": POOR,
        "other": [0.6, 0.69, 0.72],
    }
    found = compare(trials(arms, presets=("preset", "other")), metadata())
    for metric in found.metrics:
        pairs = [pair for pair in found.all if pair.metric == metric]
        assert len(pairs) == 4
        raw = [pair.difference.p_value for pair in pairs if pair.difference]
        smallest = int(np.argmin(raw))
        assert pairs[smallest].p_adjusted == pytest.approx(4 * raw[smallest])


@settings(deadline=None, max_examples=25)
@given(scores, scores)
def test_verdicts_are_antisymmetric(a: list[float], b: list[float]) -> None:
    forward = verdicts({"trial 1": a, "preset": b})
    backward = verdicts({"trial 1": b, "preset": a})
    assert backward == {metric: OPPOSITE.get(verdict, verdict) for metric, verdict in forward.items()}  # type: ignore[call-overload]


@settings(deadline=None, max_examples=25)
@given(scores)
def test_identical_scores_are_never_told_apart(values: list[float]) -> None:
    assert set(verdicts({"trial 1": values, "preset": values}).values()) == {"not distinguishable"}


@settings(deadline=None, max_examples=25)
@given(scores, scores, st.integers(2, 5))
def test_more_comparisons_never_sharpen_a_verdict(a: list[float], b: list[float], copies: int) -> None:
    alone = verdicts({"trial 1": a, "preset": b})
    arms = {f"trial {i}": a for i in range(copies)} | {"preset": b}
    for pair in compare(trials(arms), metadata()).all:
        assert pair.verdict in (alone[pair.metric], "not distinguishable")


@pytest.mark.parametrize(
    ("first", "second"), [(GOOD, [0.7]), ([0.9], POOR), (GOOD, [None, None, 0.7]), ([None] * 3, POOR)]
)
def test_too_few_runs_are_not_enough_evidence(first: list, second: list) -> None:
    found = compare(trials({"trial 1": first, "preset": second}), metadata())
    assert {pair.verdict for pair in found.all} == {"not enough evidence"}
    assert all(pair.difference is None and pair.p_adjusted is None for pair in found.all)


def test_a_failed_run_lowers_n_and_is_named() -> None:
    found = compare(trials({"trial 1": [0.9, None, 0.92], "preset": POOR}), metadata())
    finalist, baseline = found.arms
    assert [len(arm.get_scores("objective")) for arm in found.arms] == [2, 3]
    assert finalist.failures == ("Diverged: loss is nan",) and baseline.failures == ()
    assert finalist.compute_mean("objective") == pytest.approx(0.91)


def test_a_smoke_test_supports_no_verdict() -> None:
    assert set(verdicts({"trial 1": GOOD, "preset": POOR}, supports_verdict=False).values()) == {"no verdict"}


def test_a_loss_is_better_when_it_is_lower() -> None:
    found = verdicts({"trial 1": GOOD, "preset": POOR}, objective="valid/loss")
    assert found == {"test/loss": "better", "test/exact_accuracy": "better"}


def test_the_objective_and_exact_accuracy_are_judged_apart() -> None:
    exact = {"trial 1": [0.1, 0.2, 0.3], "preset": [0.1, 0.2, 0.3]}
    found = compare(trials({"trial 1": GOOD, "preset": POOR}, exact=exact), metadata())
    assert [(pair.metric, pair.verdict) for pair in found.all] == [
        ("test/blank_accuracy", "better"),
        ("test/exact_accuracy", "not distinguishable"),
    ]
    both = compare(trials({"trial 1": GOOD, "preset": POOR}), metadata(objective="valid/exact_accuracy_auc"))
    assert both.metrics == ["test/exact_accuracy"]


def test_the_winner_is_chosen_by_validation_not_by_the_test_split() -> None:
    table = trials({"trial 1": GOOD, "trial 2": POOR, "preset": POOR})
    flipped = table.set_column(
        table.column_names.index("test/blank_accuracy"), "test/blank_accuracy",
        [[None if value is None else 1 - value for value in table["test/blank_accuracy"].to_pylist()]],
    )  # fmt: skip
    best = compare(flipped, metadata()).best
    assert best is not None and best.name == "trial 1"


def test_the_presets_own_architecture_is_recognised() -> None:
    found = compare(trials({"trial 1": GOOD, "preset": POOR}, architecture={"trial 1": "preset"}), metadata())
    assert all(pair.same_architecture for pair in found.all)
    found = compare(trials({"trial 1": GOOD, "preset": POOR}), metadata())
    assert not any(pair.same_architecture for pair in found.all)


@pytest.mark.parametrize(("params", "iso"), [(950, False), (951, True), (1000, True)])
def test_only_arms_above_95_per_cent_are_iso_parameter(params: int, iso: bool) -> None:
    found = compare(trials({"trial 1": GOOD, "preset": POOR}, params={"trial 1": params}), metadata())
    assert [arm.iso_parameter for arm in found.arms] == [iso, True]
    free = compare(trials({"trial 1": GOOD, "preset": POOR}), metadata(max_params=None))
    assert not any(arm.iso_parameter for arm in free.arms), "without a budget nothing is called equal to it"


def test_arms_are_read_finalists_first() -> None:
    arms = read_arms(trials({"preset": POOR, "trial 1": GOOD}), metadata().budget)
    assert [(arm.name, arm.is_baseline) for arm in arms] == [("trial 1", False), ("preset", True)]
    assert arms[0].values == {"lr": 1e-3, "H_layers": 1} and arms[0].config == {"arm": "trial 1"}
    assert arms[0].train_flops == 7


def test_nothing_confirmed_is_nothing_compared() -> None:
    found = compare(trials({}), metadata())
    assert found.arms == [] and found.all == [] and found.best is None


def test_an_open_question_says_how_many_seeds_would_settle_it() -> None:
    (pair, _) = compare(trials({"trial 1": [0.5, 0.6, 0.8], "preset": [0.4, 0.45, 0.5]}), metadata()).all
    assert pair.is_open and pair.seeds_needed is not None and 4 <= pair.seeds_needed <= 10
    assert pair.effect_size == pytest.approx(1.32, abs=0.05)
    (settled, _) = compare(trials({"trial 1": GOOD, "preset": POOR}), metadata()).all
    assert not settled.is_open and settled.seeds_needed is None
    (hopeless, _) = compare(trials({"trial 1": POOR, "preset": POOR}), metadata()).all
    assert hopeless.is_open and hopeless.seeds_needed is None and hopeless.effect_size == 0
    (untested, _) = compare(trials({"trial 1": [0.5], "preset": [0.4]}), metadata()).all
    assert untested.effect_size is None and untested.seeds_needed is None
