"""Importance of the dimensions by two methods, which ask different questions and may disagree."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sweeps.analysis.statistics import ALPHA, Estimate, adjust_p_values, estimate
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.search.objectives import Direction

METHODS = {
    "PED-ANOVA": "how much the values of the best tenth differ from those of all trials",
    "fANOVA": "the share of a random forest's variance that the dimension explains alone",
}
"""Name to the question that it answers."""
TREES, DEPTH = 16, 8
"""Of the forest: full-grown trees cost ten times the time on 1,000 trials, for shares that differ by 0.02."""


def importances(
    evidence: Evidence, names: Sequence[str], direction: Direction
) -> dict[str, dict[str, float]] | None:
    """Method, then dimension, to its share; a method's shares sum to 1. None where too few trials tell.

    Args:
        evidence: the trials at their common report.
        names: searched values of the space that vary.
        direction: of the objective.
    """
    if len(evidence.rows) < MIN_TRIALS or len(names) < 2 or float(np.ptp(evidence.scores)) == 0:
        return None
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction)
    distributions = {
        name: _distribution([row[PARAMETER_PREFIX + name] for row in evidence.rows]) for name in names
    }
    study.add_trials([
        optuna.trial.create_trial(
            params={name: row[PARAMETER_PREFIX + name] for name in names},
            distributions=distributions,
            value=float(score),
        )
        for row, score in zip(evidence.rows, evidence.scores)
    ])  # fmt: skip
    evaluators = {
        "PED-ANOVA": PedAnovaImportanceEvaluator(),
        "fANOVA": FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            method: optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(names))
            for method, evaluator in evaluators.items()
        }
    return {
        method: {name: float(shares.get(name, 0.0)) for name in names} for method, shares in found.items()
    }


def _distribution(values: Sequence[Any]) -> Any:
    """A distribution that holds all the values: of numbers their range, else a choice among them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if any(isinstance(value, bool | str) for value in values):
        return CategoricalDistribution(sorted(set(values)))
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=low > 0 and high / low >= 10)


MIN_TRIALS = 8
"""Below, not even the largest effect is told from luck."""
MAX_LEVELS = 6
"""A dimension of more values is cut into `BINS` ranges of equally many trials."""
BINS = 4
PERMUTATIONS = 4000
TEST_NAME = (
    "permutation test of the variance between a dimension's values, Holm-corrected over the dimensions, at 5%"
)

Row = Mapping[str, Any]
Answer = Literal["matters", "not distinguishable", "too few trials"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The search's trials at one common report."""

    rows: list[Row]
    scores: np.ndarray
    """The objective of each at that report, float [n]."""
    fraction: float
    """Share of a run at which that report comes."""
    left_out: int
    """Failed trials that never reached it."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Trials that share a value of a dimension, or a range of values."""

    label: str
    values: list[Any]
    """The values of its trials."""
    score: Estimate


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a dimension does on its own, whatever the others are."""

    name: str
    levels: list[Level]
    """In the order of their values."""
    explained: float | None
    """Share of the variance between trials, corrected for the number of levels, 0 to 1."""
    p_adjusted: float | None
    answer: Answer


def gather(trials: Sequence[Row], curves: Mapping[int, Sequence[Row]]) -> Evidence | None:
    """The evidence of a sweep's tables; None without a scored search trial."""
    scored = {
        row["number"]: [point for point in curves.get(row["number"], []) if point["objective"] is not None]
        for row in trials
        if row["kind"] == "search"
    }
    lasting = [
        len(scored[row["number"]]) for row in trials if row["kind"] == "search" and row["status"] != "failed"
    ]
    reports = min((length for length in lasting if length), default=0)
    if not reports:
        return None
    rows = [row for row in trials if len(scored.get(row["number"], ())) >= reports]
    points = [scored[row["number"]][reports - 1] for row in rows]
    return Evidence(
        rows=rows,
        scores=np.array([point["objective"] for point in points], dtype=float),
        fraction=float(np.median([point["fraction"] for point in points])),
        left_out=len(scored) - len(rows),
    )


def effects(evidence: Evidence, names: Sequence[str]) -> list[Effect]:
    """The effect of each dimension that varies, in the given order.

    Args:
        evidence: the trials.
        names: searched values of the space.
    """
    grouped = {name: _levels(evidence, name) for name in names}
    varied = {name: levels for name, levels in grouped.items() if len(levels) > 1}
    testable = {name for name, levels in varied.items() if _can_be_tested(evidence, levels)}
    tested = {name: _permutation_test(evidence, varied[name]) for name in varied if name in testable}
    adjusted = dict(zip(tested, adjust_p_values([p for _, p in tested.values()])))
    return [
        Effect(
            name=name,
            levels=[_level(evidence, name, members) for members in levels],
            explained=tested[name][0] if name in tested else None,
            p_adjusted=adjusted.get(name),
            answer=_answer(adjusted.get(name)),
        )
        for name, levels in varied.items()
    ]


def _answer(p_adjusted: float | None) -> Answer:
    if p_adjusted is None:
        return "too few trials"
    return "matters" if p_adjusted < ALPHA else "not distinguishable"


def _levels(evidence: Evidence, name: str) -> list[np.ndarray]:
    """Indices of the trials of each level, in the order of the values."""
    values = [row.get(PARAMETER_PREFIX + name) for row in evidence.rows]
    known = [i for i, value in enumerate(values) if value is not None]
    distinct = sorted({values[i] for i in known}, key=_order)
    if len(distinct) <= MAX_LEVELS or isinstance(distinct[0], str):
        return [np.array([i for i in known if values[i] == value]) for value in distinct]
    numbers = np.array([values[i] for i in known], dtype=float)
    edges = np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1], method="nearest")
    bins = np.searchsorted(edges, numbers, side="right")
    members = [np.array(known)[bins == k] for k in range(BINS)]
    return [found for found in members if len(found)]


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _level(evidence: Evidence, name: str, members: np.ndarray) -> Level:
    values = [evidence.rows[i][PARAMETER_PREFIX + name] for i in members]
    low, high = min(values, key=_order), max(values, key=_order)
    label = _short(low) if low == high else f"{_short(low)} to {_short(high)}"
    found = estimate(list(evidence.scores[members]), resolution=1e-6)
    assert found is not None
    return Level(label=label, values=values, score=found)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _can_be_tested(evidence: Evidence, levels: Sequence[np.ndarray]) -> bool:
    repeated = sum(len(members) > 1 for members in levels)
    return len(evidence.rows) >= MIN_TRIALS and repeated > 1 and float(np.ptp(evidence.scores)) > 0


def _permutation_test(evidence: Evidence, levels: Sequence[np.ndarray]) -> tuple[float, float]:
    """Share of the variance that the levels explain beyond chance, and its p-value."""
    members = np.concatenate(levels)
    scores = evidence.scores[members] - evidence.scores[members].mean()
    sizes = np.array([len(level) for level in levels])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    total = float(scores @ scores)

    def between(permuted: np.ndarray) -> np.ndarray:
        sums = np.add.reduceat(permuted, starts, axis=-1)
        return (sums**2 / sizes).sum(-1) / total

    found = float(between(scores))
    rng = np.random.default_rng(0)
    by_chance = between(rng.permuted(np.tile(scores, (PERMUTATIONS, 1)), axis=1))
    p_value = (1 + int(np.sum(by_chance >= found - 1e-12))) / (1 + PERMUTATIONS)
    freedom = len(members) - len(levels)
    beyond = 1 - (1 - found) * (len(members) - 1) / freedom if freedom else 0.0
    return max(0.0, beyond), p_value
