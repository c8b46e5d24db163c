"""Which searched dimension matters: the effect of each one alone, and its importance by two methods."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sweeps.analysis.statistics import ALPHA, Estimate, adjust_p_values, estimate
from sweeps.results.schema import PARAMETER_PREFIX, Row
from sweeps.search.objectives import Direction

MIN_TRIALS = 8
"""Fewest trials of which anything is said: with fewer, not even the largest effect can be told from chance."""
MAX_LEVELS = 6
"""A dimension of more values is cut into `BINS` ranges of equally many trials."""
BINS = 4
PERMUTATIONS = 4000
TEST_NAME = (
    "permutation test of the variance between a dimension's values, Holm-corrected over the dimensions, at 5%"
)
METHODS = {
    "PED-ANOVA": "how much the values of the best tenth differ from those of all trials",
    "fANOVA": "the share of a random forest's variance that the dimension explains alone",
}
"""Name to the question that it answers: Watanabe, Bansal and Hutter (2023); Hutter, Hoos and Leyton-Brown (2014)."""
TREES, DEPTH = 16, 8
"""Size of the forest: full-grown trees take ten times as long on 1,000 trials, for shares that differ by 0.02."""

Answer = Literal["matters", "not distinguishable", "too few trials"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The search's trials at one common validation."""

    rows: list[Row]
    scores: np.ndarray
    """The objective of each trial at that validation, float [n]."""
    fraction: float
    """Share of a run at which that validation comes."""
    left_out: int
    """Failed trials that never reached it."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Trials that share a value of a dimension, or a range of values."""

    label: str
    values: list[Any]
    """One per trial."""
    score: Estimate


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The effect of a dimension on its own, whatever the others are."""

    name: str
    levels: list[Level]
    """In the order of their values."""
    explained: float | None
    """Share of the variance between trials, corrected for the number of levels, 0 to 1."""
    p_adjusted: float | None
    answer: Answer


def gather_evidence(trials: Sequence[Row], curves: Mapping[int, Sequence[Row]]) -> Evidence | None:
    """Return the search trials at the last validation that all of them reached, failed ones aside.

    Comparing completed trials alone would compare survivors: pruning stops trials because of their scores.

    Args:
        trials: rows of `trials.parquet`.
        curves: rows of `curves/`, by job.

    Returns:
        The evidence, or None without a scored search trial.

    Example:
        >>> trials = [{"number": i, "kind": "search", "status": "completed"} for i in range(2)]
        >>> curve = [{"objective": 0.5, "fraction": 0.5}, {"objective": 0.7, "fraction": 1.0}]
        >>> found = gather_evidence(trials, {0: curve, 1: curve[:1]})
        >>> found.scores.tolist(), found.fraction
        ([0.5, 0.5], 0.5)
    """
    search = [row for row in trials if row["kind"] == "search"]
    scored = {
        row["number"]: [point for point in curves.get(row["number"], []) if point["objective"] is not None]
        for row in search
    }
    lengths = [len(scored[row["number"]]) for row in search if row["status"] != "failed"]
    common = min((length for length in lengths if length), default=0)
    if not common:
        return None
    rows = [row for row in search if len(scored[row["number"]]) >= common]
    points = [scored[row["number"]][common - 1] for row in rows]
    return Evidence(
        rows=rows,
        scores=np.array([point["objective"] for point in points], dtype=float),
        fraction=float(np.median([point["fraction"] for point in points])),
        left_out=len(scored) - len(rows),
    )


def compute_effects(evidence: Evidence, names: Sequence[str]) -> list[Effect]:
    """Return the effect of each dimension that varies, in the given order.

    Args:
        evidence: the trials.
        names: searched values of the space.

    Example:
        >>> rows = [{"p.depth": 1 + i % 2, "p.width": 64} for i in range(12)]
        >>> scores = np.array([0.5 + 0.2 * (i % 2) + 0.01 * i for i in range(12)])
        >>> evidence = Evidence(rows=rows, scores=scores, fraction=1.0, left_out=0)
        >>> [(effect.name, effect.answer) for effect in compute_effects(evidence, ["depth", "width"])]
        [('depth', 'matters')]
    """
    varied = {name: levels for name in names if len(levels := _find_levels(evidence, name)) > 1}
    tested = {
        name: _run_permutation_test(evidence, levels)
        for name, levels in varied.items()
        if _can_be_tested(evidence, levels)
    }
    adjusted = dict(zip(tested, adjust_p_values([p for _, p in tested.values()])))
    return [
        Effect(
            name=name,
            levels=[_build_level(evidence, name, members) for members in levels],
            explained=tested[name][0] if name in tested else None,
            p_adjusted=adjusted.get(name),
            answer=_decide(adjusted.get(name)),
        )
        for name, levels in varied.items()
    ]


def compute_importances(
    evidence: Evidence, names: Sequence[str], direction: Direction
) -> dict[str, dict[str, float]] | None:
    """Return method, then dimension, to its share; a method's shares sum to 1. None with too few trials.

    Args:
        evidence: the trials at their common validation.
        names: searched values of the space that vary.
        direction: of the objective.

    Example:
        >>> rows = [{"p.depth": 1 + i % 4, "p.width": 16 * (1 + i % 3)} for i in range(24)]
        >>> scores = np.array([0.1 * row["p.depth"] + 0.001 * i for i, row in enumerate(rows)])
        >>> evidence = Evidence(rows=rows, scores=scores, fraction=1.0, left_out=0)
        >>> found = compute_importances(evidence, ["depth", "width"], "maximize")
        >>> {method: max(shares, key=shares.get) for method, shares in found.items()}
        {'PED-ANOVA': 'depth', 'fANOVA': 'depth'}
    """
    if len(evidence.rows) < MIN_TRIALS or len(names) < 2 or float(np.ptp(evidence.scores)) == 0:
        return None
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction)
    values = [{name: row[PARAMETER_PREFIX + name] for name in names} for row in evidence.rows]
    distributions = {name: _choose_distribution([params[name] for params in values]) for name in names}
    study.add_trials(
        [
            optuna.trial.create_trial(params=params, distributions=distributions, value=float(score))
            for params, score in zip(values, evidence.scores)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluators = (
            PedAnovaImportanceEvaluator(),
            FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0),
        )
        found = [
            optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(names))
            for evaluator in evaluators
        ]
    return {
        method: {name: float(shares.get(name, 0.0)) for name in names}
        for method, shares in zip(METHODS, found)
    }


def _choose_distribution(values: Sequence[Any]) -> Any:
    """Return a distribution that holds all the values: the range of numbers, else a choice among the values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if any(isinstance(value, bool | str) for value in values):
        return CategoricalDistribution(sorted(set(values)))
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=low > 0 and high / low >= 10)


def _decide(p_adjusted: float | None) -> Answer:
    if p_adjusted is None:
        return "too few trials"
    return "matters" if p_adjusted < ALPHA else "not distinguishable"


def _find_levels(evidence: Evidence, name: str) -> list[np.ndarray]:
    """Return the indices of the trials of each level, in the order of the values."""
    values = [row.get(PARAMETER_PREFIX + name) for row in evidence.rows]
    known = [i for i, value in enumerate(values) if value is not None]
    distinct = sorted({values[i] for i in known}, key=_order_value)
    if len(distinct) <= MAX_LEVELS or isinstance(distinct[0], str):
        return [np.array([i for i in known if values[i] == value]) for value in distinct]
    numbers = np.array([values[i] for i in known], dtype=float)
    edges = np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1], method="nearest")
    bins = np.searchsorted(edges, numbers, side="right")
    members = [np.array(known)[bins == k] for k in range(BINS)]
    return [found for found in members if len(found)]


def _order_value(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _build_level(evidence: Evidence, name: str, members: np.ndarray) -> Level:
    values = [evidence.rows[i][PARAMETER_PREFIX + name] for i in members]
    ends = (min(values, key=_order_value), max(values, key=_order_value))
    low, high = (f"{end:.3g}" if isinstance(end, float) else str(end) for end in ends)
    score = estimate(list(evidence.scores[members]), resolution=1e-6)
    assert score is not None
    return Level(label=low if ends[0] == ends[1] else f"{low} to {high}", values=values, score=score)


def _can_be_tested(evidence: Evidence, levels: Sequence[np.ndarray]) -> bool:
    repeated = sum(len(members) > 1 for members in levels)
    return len(evidence.rows) >= MIN_TRIALS and repeated > 1 and float(np.ptp(evidence.scores)) > 0


def _run_permutation_test(evidence: Evidence, levels: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the share of the variance that the levels explain beyond chance, and its p-value.

    Not by `scipy.stats.permutation_test`, which would draw other permutations and so change published p-values,
    and needs a Python call per level.
    """
    members = np.concatenate(levels)
    scores = evidence.scores[members] - evidence.scores[members].mean()
    sizes = np.array([len(level) for level in levels])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    total = float(scores @ scores)

    def measure_between(permuted: np.ndarray) -> np.ndarray:
        """Return the sum of squares between levels over the total: R² of a one-way analysis of variance."""
        sums = np.add.reduceat(permuted, starts, axis=-1)
        return (sums**2 / sizes).sum(-1) / total

    found = float(measure_between(scores))
    rng = np.random.default_rng(0)
    by_chance = measure_between(rng.permuted(np.tile(scores, (PERMUTATIONS, 1)), axis=1))
    # Phipson and Smyth (2010): the observed order counts as one of the permutations, so p is never 0.
    p_value = (1 + int(np.sum(by_chance >= found - 1e-12))) / (1 + PERMUTATIONS)
    # Adjusted R²: levels without any effect explain (k - 1) / (n - 1) of the variance on average.
    freedom = len(members) - len(levels)
    beyond = 1 - (1 - found) * (len(members) - 1) / freedom if freedom else 0.0
    return max(0.0, beyond), p_value
