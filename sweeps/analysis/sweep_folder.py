"""A sweep's folder, read once for all that is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hrm.models.registry import get_family
from sweeps.analysis.comparison import Comparisons, compare
from sweeps.analysis.importance import Effect, Evidence, effects, gather, importances
from sweeps.analysis.pareto import Pareto, pareto
from sweeps.results.metadata import SweepMetadata, read_metadata
from sweeps.results.tables import find_tracebacks, read_answers, read_curves, read_trials

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SweepFolder:
    metadata: SweepMetadata
    trials: list[Row]
    """Rows of `trials.parquet`."""
    curves: dict[int, list[Row]]
    """Rows of `curves/`, by job."""
    comparisons: Comparisons
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Of `answers/`, by job: what models answer to a few puzzles, segment by segment."""
    tracebacks: dict[int, str] = field(default_factory=dict)
    """Files of failed jobs, by job."""
    _configs: dict[int, dict[str, Any]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def read(cls, out: Path) -> SweepFolder:
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
        """The search's trials at the last report that all of them reached."""
        return gather(self.trials, self.curves)

    @cached_property
    def effects(self) -> list[Effect]:
        """What each searched dimension does; empty without evidence."""
        return effects(self.evidence, self.metadata.parameters) if self.evidence else []

    @cached_property
    def pareto(self) -> Pareto | None:
        """The front of several objectives; None with one."""
        return pareto(self.trials, self.metadata)

    @cached_property
    def importances(self) -> dict[str, dict[str, float]] | None:
        """Allocation of the searched dimensions, by two methods; None where too few trials tell."""
        names = [effect.name for effect in self.effects]
        return importances(self.evidence, names, self.metadata.goal.direction) if self.evidence else None

    @property
    def width_field(self) -> str:
        """The field of the model's width in this sweep's family."""
        name = self.read_config(self.trials[0])["family"] if self.trials else "puzzle"
        return get_family(name).width

    @property
    def best_config(self) -> dict[str, Any] | None:
        """What `best.yaml` holds: the best confirmed arm's configuration, else the best search trial's."""
        if self.comparisons.best:
            return self.comparisons.best.config
        ranked = self.rank(self.select("search"))
        return self.read_config(ranked[0]) if ranked else None

    def select(self, kind: str, status: str | None = None) -> list[Row]:
        """Trials of a kind, and of a status when given."""
        return [row for row in self.trials if row["kind"] == kind and status in (None, row["status"])]

    def rank(self, rows: Iterable[Row]) -> list[Row]:
        """Completed rows that have an objective, best first."""
        scored = [row for row in rows if row["status"] == "completed" and row["objective"] is not None]
        return sorted(scored, key=lambda row: self.metadata.goal.get_sort_key(row["objective"]))

    def read_config(self, row: Row) -> dict[str, Any]:
        """The resolved run configuration of a row."""
        number = row["number"]
        if number not in self._configs:
            self._configs[number] = json.loads(row["config"])
        return self._configs[number]
