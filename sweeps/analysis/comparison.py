"""The verdict: finalists against baselines on fresh seeds and the test split, from the trials table alone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from sweeps.analysis.statistics import (
    ALPHA,
    Difference,
    Estimate,
    adjust_p_values,
    compute_detectable_difference,
    compute_difference,
    compute_effect_size,
    compute_seeds_needed,
    estimate,
)
from sweeps.results.metadata import SweepMetadata
from sweeps.results.schema import PARAMETER_PREFIX, Row, select_metrics, select_objectives
from sweeps.search.objectives import METRIC_DIRECTIONS
from sweeps.space.budget import Budget

EXACT = "test/exact_accuracy"
LOSS_ROUNDING = 1e-6

ArmKind = Literal["finalist", "preset", "random"]
_ARM_KINDS: dict[str, ArmKind] = {"search": "finalist", "baseline": "preset", "random": "random"}
"""By the kind of the jobs from which an arm was chosen."""
Verdict = Literal["better", "worse", "not distinguishable", "not enough evidence", "no verdict"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A finalist or a baseline, with a score per fresh seed."""

    name: str
    kind: ArmKind
    params: int
    fullness: float | None
    """Share of the budget that is used; None without a budget."""
    iso_parameter: bool
    """Whether it is close enough to the budget to be compared as equal in parameters."""
    train_flops: float | None
    """Mean over its completed runs."""
    architecture: str
    values: dict[str, Any]
    """Searched and derived values of the space, by name."""
    scores: dict[str, dict[int, float]]
    """Metric, then seed, to the score of a completed run. Metrics include `objective` and, for a sweep of several
    objectives, each of these under the name of its column."""
    failures: tuple[str, ...]
    """Reasons of the runs that failed."""
    config: dict[str, Any]
    """Run configuration of its first seed."""

    @property
    def is_baseline(self) -> bool:
        """Whether finalists are compared with it: a preset or random search."""
        return self.kind != "finalist"

    @property
    def title(self) -> str:
        """Its name, marked if it is a preset."""
        return f"{self.name} (preset)" if self.kind == "preset" else self.name

    def get_scores(self, metric: str) -> list[float]:
        """Return its scores in the order of their seeds."""
        return [score for _, score in sorted(self.scores.get(metric, {}).items())]

    def compute_mean(self, metric: str) -> float | None:
        """Return the mean over its seeds; None without a completed run."""
        scores = self.get_scores(metric)
        return math.fsum(scores) / len(scores) if scores else None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One finalist against one baseline in one metric."""

    metric: str
    finalist: Arm
    baseline: Arm
    difference: Difference | None
    """Finalist minus baseline; None if either has fewer than two completed runs (`not enough evidence`)."""
    p_adjusted: float | None
    """Holm-corrected over the comparisons of the metric; None as with the difference."""
    estimates: tuple[Estimate | None, Estimate | None]
    """Of finalist and baseline; None without a completed run."""
    num_comparisons: int
    """Tests of this metric, for the correction."""
    verdict: Verdict
    """About the finalist. `no verdict`: the task is a smoke test."""

    @cached_property
    def detectable_difference(self) -> float | None:
        """The true difference that would have been detected with 80% power; None as with the difference."""
        if self.difference is None:
            return None
        return compute_detectable_difference(*self._tested, self.num_comparisons)

    @property
    def effect_size(self) -> float | None:
        """Hedges' g; None as with the difference."""
        return None if self.difference is None else compute_effect_size(*self._tested)

    @cached_property
    def seeds_needed(self) -> int | None:
        """Seeds per arm that would settle an open question; None for another, and beyond `MAX_SEEDS`."""
        return compute_seeds_needed(*self._tested, self.num_comparisons) if self.is_open else None

    @property
    def is_open(self) -> bool:
        """Whether it was tested without finding a difference."""
        return self.verdict == "not distinguishable"

    @property
    def same_architecture(self) -> bool:
        """Whether only training values, such as the learning rate, can make the difference."""
        return self.finalist.architecture == self.baseline.architecture

    @property
    def _tested(self) -> tuple[Estimate, Estimate]:
        a, b = self.estimates
        assert a is not None and b is not None
        return a, b


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """Everything that the confirmation runs show."""

    arms: list[Arm]
    """Finalists first."""
    metrics: list[str]
    """The objective's test metric first."""
    all: list[Comparison]
    best: Arm | None
    """The best arm by the objective on the validation split."""
    best_finalist: Arm | None
    best_preset: Arm | None

    def select(self, arm: Arm, metric: str) -> list[Comparison]:
        """Return this finalist's comparisons in a metric."""
        return [pair for pair in self.all if pair.finalist.name == arm.name and pair.metric == metric]


def compare(trials: pa.Table, metadata: SweepMetadata) -> Comparisons:
    """Compare every finalist with every baseline.

    The metrics are the objective's test metric and, if the task has answers that are exactly right, exact
    accuracy. Each metric is corrected for the number of its comparisons.

    Args:
        trials: rows of `trials.parquet`.
        metadata: what `sweep.json` holds.

    Example:
        >>> from tests.sweeps.confirmed_table import metadata, trials
        >>> table = trials({"trial 1": [0.90, 0.91, 0.92], "preset": [0.70, 0.71, 0.72]})
        >>> [(pair.metric, pair.verdict) for pair in compare(table, metadata()).all]
        [('test/blank_accuracy', 'better'), ('test/exact_accuracy', 'better')]
    """
    arms = read_arms(trials, metadata.budget)
    metrics = [metadata.goal.test_metric]
    if EXACT in trials.column_names and EXACT not in metrics:
        metrics.append(EXACT)
    return Comparisons(
        arms=arms,
        metrics=metrics,
        all=[pair for metric in metrics for pair in _compare_metric(metric, arms, metadata)],
        best=find_best_arm(arms, metadata),
        best_finalist=find_best_arm([arm for arm in arms if arm.kind == "finalist"], metadata),
        best_preset=find_best_arm([arm for arm in arms if arm.kind == "preset"], metadata),
    )


def read_arms(trials: pa.Table, budget: Budget) -> list[Arm]:
    """Return the arms that have confirmation runs, finalists first, in the order of their first runs.

    Example:
        >>> from tests.sweeps.confirmed_table import metadata, trials
        >>> table = trials({"preset": [0.70, 0.71], "trial 1": [0.90, 0.91]})
        >>> [(arm.name, arm.kind, arm.get_scores("objective")) for arm in read_arms(table, metadata().budget)]
        [('trial 1', 'finalist', [0.9, 0.91]), ('preset', 'preset', [0.7, 0.71])]
    """
    rows = trials.to_pylist()
    metrics = ["objective", *select_metrics(trials.column_names), *select_objectives(trials.column_names)]
    kinds = {row["arm"]: _ARM_KINDS[row["kind"]] for row in rows if row["kind"] in _ARM_KINDS}
    confirmations: dict[str, list[Row]] = {}
    for row in rows:
        if row["kind"] == "confirm":
            runs = confirmations.setdefault(row["arm"], [])
            # An extended sweep may find a better learning rate for a preset and confirm the preset with that one.
            if runs and read_config_without_seed(runs[0]) != read_config_without_seed(row):
                runs.clear()
            runs.append(row)
    arms = [
        _build_arm(name, runs, kinds.get(name, "finalist"), metrics, budget)
        for name, runs in confirmations.items()
    ]
    return sorted(arms, key=lambda arm: arm.is_baseline)


def find_best_arm(arms: Sequence[Arm], metadata: SweepMetadata) -> Arm | None:
    """Return the arm with the best mean of the search's objective over its fresh seeds.

    By the validation split: an arm that the test split had chosen could not be judged by the test split.

    Example:
        >>> from tests.sweeps.confirmed_table import metadata, trials
        >>> table = trials({"trial 1": [0.90, 0.91], "trial 2": [0.95, 0.96]})
        >>> find_best_arm(read_arms(table, metadata().budget), metadata()).name
        'trial 2'
    """
    scored = [(mean, arm) for arm in arms if (mean := arm.compute_mean("objective")) is not None]
    return min(scored, key=lambda pair: metadata.goal.get_sort_key(pair[0]))[1] if scored else None


def get_score_resolution(metric: str, metadata: SweepMetadata) -> float:
    """Return the least spread that an arm can have: one example of an accuracy, the rounding of a loss.

    Example:
        >>> from tests.sweeps.confirmed_table import metadata
        >>> get_score_resolution("test/blank_accuracy", metadata(num_test=500))
        0.002
    """
    measured = metadata.goal.metric if metric == "objective" else metric
    if not measured.endswith("accuracy"):
        return LOSS_ROUNDING
    return 1 / max(metadata.num_test if metric.startswith("test/") else metadata.num_valid, 1)


def read_config_without_seed(row: Row) -> dict[str, Any]:
    """Return the run configuration of a row; equal for runs that differ in nothing but the seed."""
    return {name: value for name, value in json.loads(row["config"]).items() if name != "seed"}


def _build_arm(name: str, runs: list[Row], kind: ArmKind, metrics: list[str], budget: Budget) -> Arm:
    first = runs[0]
    completed = [row for row in runs if row["status"] == "completed"]
    flops = [row["train_flops"] for row in completed if row["train_flops"] is not None]
    return Arm(
        name=name,
        kind=kind,
        params=first["params"],
        fullness=budget.used_share(first["params"]),
        iso_parameter=budget.is_iso_parameter(first["params"]),
        train_flops=sum(flops) / len(flops) if flops else None,
        architecture=first["architecture"],
        values={
            column.removeprefix(PARAMETER_PREFIX): value
            for column, value in first.items()
            if column.startswith(PARAMETER_PREFIX)
        },
        scores={
            metric: {row["seed"]: row[metric] for row in completed if row[metric] is not None}
            for metric in metrics
        },
        failures=tuple(row["error"] or row["status"] for row in runs if row["status"] != "completed"),
        config=json.loads(first["config"]),
    )


def _compare_metric(metric: str, arms: Sequence[Arm], metadata: SweepMetadata) -> list[Comparison]:
    pairs = [(a, b) for a in arms if not a.is_baseline for b in arms if b.is_baseline]
    resolution = get_score_resolution(metric, metadata)
    differences = [
        compute_difference(a.get_scores(metric), b.get_scores(metric), resolution) for a, b in pairs
    ]
    tested = [difference.p_value for difference in differences if difference is not None]
    adjusted = iter(adjust_p_values(tested))
    comparisons = []
    for (finalist, baseline), difference in zip(pairs, differences, strict=True):
        p_adjusted = None if difference is None else next(adjusted)
        comparisons.append(
            Comparison(
                metric=metric,
                finalist=finalist,
                baseline=baseline,
                difference=difference,
                p_adjusted=p_adjusted,
                estimates=(
                    estimate(finalist.get_scores(metric), resolution),
                    estimate(baseline.get_scores(metric), resolution),
                ),
                num_comparisons=len(tested),
                verdict=_decide(metric, difference, p_adjusted, metadata),
            )
        )
    return comparisons


def _decide(
    metric: str, difference: Difference | None, p_adjusted: float | None, metadata: SweepMetadata
) -> Verdict:
    if not metadata.supports_verdict:
        return "no verdict"
    if difference is None or p_adjusted is None:
        return "not enough evidence"
    if p_adjusted >= ALPHA:
        return "not distinguishable"
    higher_is_better = METRIC_DIRECTIONS[metric.removeprefix("test/")] == "maximize"
    return "better" if (difference.mean > 0) == higher_is_better else "worse"
