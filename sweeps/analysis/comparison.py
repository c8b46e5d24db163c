"""The verdict: finalists against baselines on fresh seeds and the test split. Pure functions of the table."""

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
    compute_difference,
    detectable,
    effect_size,
    estimate,
    seeds_to_settle,
)
from sweeps.results.metadata import SweepMetadata
from sweeps.results.schema import PARAMETER_PREFIX, select_metrics, select_objectives
from sweeps.search.objectives import METRIC_DIRECTIONS
from sweeps.space.budget import Budget

ArmKind = Literal["finalist", "preset", "random"]
_BY_JOB: dict[str, ArmKind] = {"search": "finalist", "baseline": "preset", "random": "random"}
"""By the kind of the jobs that an arm was chosen from."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A finalist or a baseline, with a score per fresh seed."""

    name: str
    kind: ArmKind
    params: int
    fullness: float | None
    """Share of the budget; None without one."""
    iso_parameter: bool
    """Full enough to be compared as equal in parameters."""
    inner_over_width: float | None
    train_flops: float | None
    """Mean over its completed runs."""
    architecture: str
    values: dict[str, Any]
    """Of the space, by name."""
    scores: dict[str, dict[int, float]]
    """Metric, then seed, to the score of a completed run; `objective` is among the metrics, and
    so are several objectives, as their columns are named."""
    failures: tuple[str, ...]
    """Reasons of the runs that failed."""
    config: dict[str, Any]
    """Of the first seed's run."""

    @property
    def is_baseline(self) -> bool:
        """A preset or random search: what finalists are held against."""
        return self.kind != "finalist"

    @property
    def title(self) -> str:
        """Its name, and whether it is a preset."""
        return f"{self.name} (preset)" if self.kind == "preset" else self.name

    def get_scores(self, metric: str) -> list[float]:
        """Scores in the order of their seeds."""
        return [score for _, score in sorted(self.scores.get(metric, {}).items())]

    def mean(self, metric: str) -> float | None:
        scores = self.get_scores(metric)
        return math.fsum(scores) / len(scores) if scores else None


def read_arms(trials: pa.Table, budget: Budget) -> list[Arm]:
    """The arms that have confirmation runs, finalists first, in the order of their first runs."""
    rows = trials.to_pylist()
    metrics = ["objective", *select_metrics(trials.column_names), *select_objectives(trials.column_names)]
    kinds = {row["arm"]: _BY_JOB[row["kind"]] for row in rows if row["kind"] in _BY_JOB}
    confirmations: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "confirm":
            runs = confirmations.setdefault(row["arm"], [])
            # An extended sweep may find a better rate for a preset, and confirms it with that one.
            if runs and _but_seed(runs[0]) != _but_seed(row):
                runs.clear()
            runs.append(row)
    arms = [
        _arm(name, runs, kinds.get(name, "finalist"), metrics, budget) for name, runs in confirmations.items()
    ]
    return sorted(arms, key=lambda arm: arm.is_baseline)


def find_best_arm(arms: Sequence[Arm], metadata: SweepMetadata) -> Arm | None:
    """The arm with the best mean of the search's objective over its fresh seeds.

    By the validation split: what the test split decided could not be measured on it.
    """
    scored = [(mean, arm) for arm in arms if (mean := arm.mean("objective")) is not None]
    return min(scored, key=lambda pair: metadata.goal.get_sort_key(pair[0]))[1] if scored else None


def _but_seed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in json.loads(row["config"]).items() if name != "seed"}


def _arm(name: str, runs: list[dict[str, Any]], kind: ArmKind, metrics: list[str], budget: Budget) -> Arm:
    first = runs[0]
    completed = [row for row in runs if row["status"] == "completed"]
    flops = [row["train_flops"] for row in completed if row["train_flops"] is not None]
    return Arm(
        name=name,
        kind=kind,
        params=first["params"],
        fullness=budget.used_share(first["params"]),
        iso_parameter=budget.is_iso_parameter(first["params"]),
        inner_over_width=first["inner_over_width"],
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


EXACT = "test/exact_accuracy"
LOSS_ROUNDING = 1e-6

Verdict = Literal["better", "worse", "not distinguishable", "not enough evidence", "no verdict"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One finalist against one baseline in one metric."""

    metric: str
    finalist: Arm
    baseline: Arm
    difference: Difference | None
    """Finalist minus baseline; None when either has fewer than two completed runs: `not enough evidence`."""
    p_adjusted: float | None
    """Holm-corrected over the comparisons of the metric."""
    detectable: float | None
    """The true difference that would have been found with a chance of 80%."""
    estimates: tuple[Estimate | None, Estimate | None]
    """Of finalist and baseline; None without a completed run."""
    num_comparisons: int
    """Of the metric, for the correction."""
    verdict: Verdict
    """Of the finalist. `no verdict`: the task is a smoke test."""

    @property
    def effect_size(self) -> float | None:
        """Hedges' g; None as with the difference."""
        a, b = self.estimates
        return effect_size(a, b) if a and b and self.difference is not None else None

    @cached_property
    def seeds_to_settle(self) -> int | None:
        """Of an open question: seeds an arm that would settle it, were what was seen the truth.

        None where it is settled or not tested, and where it would take more than `MAX_SEEDS`.
        """
        a, b = self.estimates
        if a is None or b is None or not self.is_open:
            return None
        return seeds_to_settle(a, b, self.num_comparisons)

    @property
    def is_open(self) -> bool:
        """Tested, and not told apart."""
        return self.verdict == "not distinguishable"

    @property
    def same_architecture(self) -> bool:
        """Then only training values, such as the learning rate, can make the difference."""
        return self.finalist.architecture == self.baseline.architecture

    @property
    def iso_parameter(self) -> bool:
        return self.finalist.iso_parameter and self.baseline.iso_parameter

    @property
    def counts(self) -> tuple[int, int]:
        """Completed runs of finalist and baseline."""
        return len(self.finalist.get_scores(self.metric)), len(self.baseline.get_scores(self.metric))


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """All that the confirmation runs say."""

    arms: list[Arm]
    metrics: list[str]
    """The objective's test metric first."""
    all: list[Comparison]
    best: Arm | None
    """The best confirmed arm by the objective on the validation split."""
    best_finalist: Arm | None
    """The best of the finalists, likewise."""
    best_preset: Arm | None
    """The best of the presets, likewise."""

    def select(self, arm: Arm, metric: str) -> list[Comparison]:
        """This finalist's comparisons in a metric."""
        return [entry for entry in self.all if entry.finalist.name == arm.name and entry.metric == metric]


def compare(trials: pa.Table, metadata: SweepMetadata) -> Comparisons:
    """Every finalist against every baseline, in the objective's test metric and, where the task has answers
    that are exactly right, in exact accuracy."""
    arms = read_arms(trials, metadata.budget)
    metrics = [metadata.goal.test_metric]
    if EXACT in trials.column_names and EXACT not in metrics:
        metrics.append(EXACT)
    found = [entry for metric in metrics for entry in _compare_metric(metric, arms, metadata)]
    return Comparisons(
        arms=arms,
        metrics=metrics,
        all=found,
        best=find_best_arm(arms, metadata),
        best_finalist=find_best_arm([arm for arm in arms if arm.kind == "finalist"], metadata),
        best_preset=find_best_arm([arm for arm in arms if arm.kind == "preset"], metadata),
    )


def get_score_resolution(metric: str, metadata: SweepMetadata) -> float:
    """The spread that no arm is credited to be below: of an accuracy one example, of a loss its rounding."""
    measured = metadata.goal.metric if metric == "objective" else metric
    if not measured.endswith("accuracy"):
        return LOSS_ROUNDING
    return 1 / max(metadata.num_test if metric.startswith("test/") else metadata.num_valid, 1)


def _compare_metric(metric: str, arms: Sequence[Arm], metadata: SweepMetadata) -> list[Comparison]:
    pairs = [(a, b) for a in arms if not a.is_baseline for b in arms if b.is_baseline]
    resolution = get_score_resolution(metric, metadata)
    differences = [
        compute_difference(a.get_scores(metric), b.get_scores(metric), resolution) for a, b in pairs
    ]
    tested = [difference for difference in differences if difference is not None]
    adjusted = iter(adjust_p_values([difference.p_value for difference in tested]))
    comparisons = []
    for pair, difference in zip(pairs, differences, strict=True):
        p_adjusted = None if difference is None else next(adjusted)
        a, b = (estimate(arm.get_scores(metric), resolution) for arm in pair)
        comparison = Comparison(
            metric=metric,
            finalist=pair[0],
            baseline=pair[1],
            difference=difference,
            p_adjusted=p_adjusted,
            estimates=(a, b),
            num_comparisons=len(tested),
            detectable=_detectable((a, b), len(tested)),
            verdict=_verdict(metric, difference, p_adjusted, metadata),
        )
        comparisons.append(comparison)
    return comparisons


def _detectable(means: Sequence[Estimate | None], comparisons: int) -> float | None:
    a, b = means
    return detectable(a, b, comparisons) if a and b and min(a.n, b.n) > 1 else None


def _verdict(
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
