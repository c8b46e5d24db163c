"""A sweep's folder, read once for everything that is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hrm.models.registry import get_family
from sweeps.analysis.comparison import Arm, Comparisons, compare, get_score_resolution
from sweeps.analysis.importance import Effect, Evidence, compute_effects, compute_importances, gather_evidence
from sweeps.analysis.pareto import Pareto, compute_pareto
from sweeps.analysis.statistics import Estimate, estimate
from sweeps.results.metadata import SweepMetadata, read_metadata
from sweeps.results.schema import Row
from sweeps.results.tables import find_tracebacks, read_answers, read_curves, read_trials


@dataclass(frozen=True, kw_only=True)
class SweepFolder:
    """Tables, curves and answers of a sweep, with what follows from them."""

    metadata: SweepMetadata
    trials: list[Row]
    """Rows of `trials.parquet`."""
    curves: dict[int, list[Row]]
    """Rows of `curves/`, by job."""
    comparisons: Comparisons
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Rows of `answers/`, by job: a model's answers to a few puzzles, segment by segment."""
    tracebacks: dict[int, str] = field(default_factory=dict)
    """Files of failed jobs, by job."""
    _configs: dict[int, dict[str, Any]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def read(cls, out: Path) -> SweepFolder:
        """Read what a sweep has left in a folder, also while it runs."""
        metadata, trials = read_metadata(out), read_trials(out)
        curves: dict[int, list[Row]] = {}
        for row in read_curves(out).to_pylist():
            curves.setdefault(row["number"], []).append(row)
        return cls(
            metadata=metadata,
            trials=trials.to_pylist(),
            curves=curves,
            comparisons=compare(trials, metadata),
            answers=read_answers(out),
            tracebacks=find_tracebacks(out),
        )

    @cached_property
    def evidence(self) -> Evidence | None:
        """The search trials at the last validation that all of them reached."""
        return gather_evidence(self.trials, self.curves)

    @cached_property
    def effects(self) -> list[Effect]:
        """The effect of each searched dimension; empty without evidence."""
        return compute_effects(self.evidence, self.metadata.parameters) if self.evidence else []

    @cached_property
    def importances(self) -> dict[str, dict[str, float]] | None:
        """Shares of the searched dimensions by two methods; None with too few trials."""
        names = [effect.name for effect in self.effects]
        return (
            compute_importances(self.evidence, names, self.metadata.goal.direction) if self.evidence else None
        )

    @cached_property
    def pareto(self) -> Pareto | None:
        """The front of several objectives; None with one."""
        return compute_pareto(self.trials, self.metadata)

    @cached_property
    def best_trials(self) -> list[Row]:
        """Completed search trials, the best first."""
        return self.rank(self.select("search"))

    @property
    def best_config(self) -> dict[str, Any] | None:
        """The best confirmed arm's configuration, else the best search trial's."""
        if self.comparisons.best:
            return self.comparisons.best.config
        return self.read_config(self.best_trials[0]) if self.best_trials else None

    @property
    def width_field(self) -> str:
        """The field of the model's width in this sweep's family."""
        name = self.read_config(self.trials[0])["family"] if self.trials else "puzzle"
        return get_family(name).width

    def select(self, kind: str, status: str | None = None) -> list[Row]:
        """Return the trials of a kind and, if given, of a status."""
        return [row for row in self.trials if row["kind"] == kind and status in (None, row["status"])]

    def rank(self, rows: Iterable[Row]) -> list[Row]:
        """Return the completed rows that have an objective, the best first."""
        scored = [row for row in rows if row["status"] == "completed" and row["objective"] is not None]
        return sorted(scored, key=lambda row: self.metadata.goal.get_sort_key(row["objective"]))

    def estimate(self, arm: Arm, metric: str) -> Estimate | None:
        """Return an arm's mean and interval in a metric; None without a completed run."""
        return estimate(arm.get_scores(metric), get_score_resolution(metric, self.metadata))

    def read_config(self, row: Row) -> dict[str, Any]:
        """Return the resolved run configuration of a row."""
        number = row["number"]
        if number not in self._configs:
            self._configs[number] = json.loads(row["config"])
        return self._configs[number]

    def follow_search(self) -> Iterator[tuple[Row, int, float | None]]:
        """Yield each search trial with the training FLOPs and the best objective up to it."""
        best, spent = None, 0
        for row in self.select("search"):
            spent += row["train_flops"] or 0
            value = row["objective"]
            if row["status"] == "completed" and value is not None:
                best = value if best is None else min(best, value, key=self.metadata.goal.get_sort_key)
            yield row, spent, best
