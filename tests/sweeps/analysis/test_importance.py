"""Which dimension matters: found where one does, and not said of noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sweeps.analysis.importance import (
    METHODS,
    MIN_TRIALS,
    Effect,
    Evidence,
    compute_effects,
    compute_importances,
    gather_evidence,
)

Row = dict[str, Any]


def rows(num: int, seed: int = 0) -> list[Row]:
    """Random trials of a space with numbers, a rate and a word."""
    rng = np.random.default_rng(seed)
    return [
        {"number": i, "kind": "search", "status": "completed", "p.depth": int(rng.integers(1, 9)),
         "p.lr": float(10 ** rng.uniform(-4, -2)), "p.kind": str(rng.choice(["rope", "learned"])), "p.fixed": 3}
        for i in range(num)
    ]  # fmt: skip


NAMES = ["depth", "lr", "kind", "fixed"]


def judged(trials: list[Row], scores: np.ndarray) -> dict[str, Effect]:
    evidence = Evidence(rows=trials, scores=scores, fraction=1.0, left_out=0)
    return {effect.name: effect for effect in compute_effects(evidence, NAMES)}


def test_noise_is_not_distinguishable() -> None:
    """One table in twenty may be misjudged: of 60 at 5%, more than 9 would come once in a thousand."""
    claims = 0
    for seed in range(60):
        found = judged(rows(24, seed), np.random.default_rng([1, seed]).normal(size=24))
        assert set(found) == {"depth", "lr", "kind"}, "a dimension that does not vary says nothing"
        claims += any(effect.answer == "matters" for effect in found.values())
    assert claims <= 9


def test_a_planted_effect_is_found_and_is_the_only_one() -> None:
    trials = rows(40)
    rng = np.random.default_rng(1)
    scores = np.array([-abs(math.log10(row["p.lr"]) + 3) for row in trials]) + rng.normal(0, 0.05, 40)
    found = judged(trials, scores)
    assert found["lr"].answer == "matters" and (found["lr"].explained or 0) > 0.3
    assert {found[name].answer for name in ("depth", "kind")} == {"not distinguishable"}
    best = max(found["lr"].levels, key=lambda level: level.score.mean)
    assert (
        min(best.values) < 1e-3 < max(best.values) or min(abs(math.log10(v) + 3) for v in best.values) < 0.2
    )


def test_levels_are_values_where_few_and_ranges_where_many() -> None:
    found = judged(rows(40), np.arange(40.0))
    assert [level.label for level in found["kind"].levels] == ["learned", "rope"]
    assert len(found["lr"].levels) == 4
    assert sum(level.score.n for level in found["lr"].levels) == 40
    assert all(" to " in level.label for level in found["lr"].levels)


@pytest.mark.parametrize("num", [1, 2, MIN_TRIALS - 1])
def test_few_trials_say_nothing(num: int) -> None:
    found = judged(rows(num), np.arange(float(num)))
    assert {effect.answer for effect in found.values()} <= {"too few trials"}


def test_equal_scores_say_nothing() -> None:
    assert {effect.answer for effect in judged(rows(20), np.zeros(20)).values()} == {"too few trials"}


def point(index: int, value: float | None) -> Row:
    return {"objective": value, "fraction": index / 4}


def test_trials_are_compared_where_all_of_them_still_ran() -> None:
    trials = [
        {"number": 0, "kind": "search", "status": "completed"},
        {"number": 1, "kind": "search", "status": "pruned"},
        {"number": 2, "kind": "search", "status": "failed"},
        {"number": 3, "kind": "search", "status": "failed"},
        {"number": 4, "kind": "baseline", "status": "completed"},
        {"number": 5, "kind": "search", "status": "failed"},
    ]
    curves = {
        0: [point(1, 0.1), point(2, 0.2), point(3, 0.3), point(4, 0.4)],
        1: [point(1, 0.5), point(2, 0.6)],
        2: [point(1, 0.7)],
        3: [point(1, 0.8), point(2, 0.9), point(3, 1.0)],
        4: [point(1, 2.0), point(2, 2.0)],
    }
    found = gather_evidence(trials, curves)
    assert found is not None
    assert [row["number"] for row in found.rows] == [0, 1, 3]
    assert list(found.scores) == [0.2, 0.6, 0.9]
    assert (found.fraction, found.left_out) == (0.5, 2)
    assert gather_evidence(trials[2:], {}) is None


def test_both_methods_put_the_planted_dimension_first() -> None:
    trials = rows(60)
    scores = np.array([row["p.depth"] for row in trials]) + np.random.default_rng(2).normal(0, 0.3, 60)
    evidence = Evidence(rows=trials, scores=scores, fraction=1.0, left_out=0)
    found = compute_importances(evidence, NAMES[:3], "maximize")
    assert found is not None and list(found) == list(METHODS)
    for shares in found.values():
        assert max(shares, key=lambda name: shares[name]) == "depth"
        assert math.isclose(sum(shares.values()), 1, abs_tol=1e-6)
    assert found == compute_importances(evidence, NAMES[:3], "maximize"), "the same rows give the same shares"


def test_importance_is_not_claimed_of_few_trials_or_one_dimension() -> None:
    few = Evidence(rows=rows(3), scores=np.arange(3.0), fraction=1.0, left_out=0)
    many = Evidence(rows=rows(30), scores=np.arange(30.0), fraction=1.0, left_out=0)
    assert compute_importances(few, NAMES[:3], "maximize") is None
    assert compute_importances(many, ["lr"], "maximize") is None
