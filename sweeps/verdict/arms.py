"""The arms of a comparison: each configuration that was rerun on fresh seeds, from the trials table."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from sweeps.results.context import Context
from sweeps.results.schema import PARAMETER_PREFIX, metric_columns, objective_columns
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

    def values_of(self, metric: str) -> list[float]:
        """Scores in the order of their seeds."""
        return [score for _, score in sorted(self.scores.get(metric, {}).items())]

    def mean(self, metric: str) -> float | None:
        scores = self.values_of(metric)
        return math.fsum(scores) / len(scores) if scores else None


def read_arms(trials: pa.Table, budget: Budget) -> list[Arm]:
    """The arms that have confirmation runs, finalists first, in the order of their first runs."""
    rows = trials.to_pylist()
    metrics = ["objective", *metric_columns(trials), *objective_columns(trials.column_names)]
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


def best_arm(arms: Sequence[Arm], context: Context) -> Arm | None:
    """The arm with the best mean of the search's objective over its fresh seeds.

    By the validation split: what the test split decided could not be measured on it.
    """
    scored = [(mean, arm) for arm in arms if (mean := arm.mean("objective")) is not None]
    return min(scored, key=lambda pair: context.goal.best_first(pair[0]))[1] if scored else None


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
        fullness=budget.fullness(first["params"]),
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
