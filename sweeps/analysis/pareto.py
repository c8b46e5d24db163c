"""The Pareto front of a sweep of several objectives, and the presets in comparison; `pareto.json` holds it.

Trials have one seed each, and the best of many are lucky: what is confirmed is in the arms.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hrm.system.files import write_text_atomically
from sweeps.analysis.comparison import read_config_without_seed
from sweeps.results.metadata import SweepMetadata
from sweeps.results.schema import OBJECTIVE_PREFIX, Row
from sweeps.search.pareto_front import compute_hypervolume, dominates, find_front

if TYPE_CHECKING:
    from sweeps.analysis.sweep_folder import SweepFolder

FILE_NAME = "pareto.json"


@dataclass(frozen=True, kw_only=True)
class ParetoEntry:
    """A configuration and its objectives."""

    name: str
    """`trial 7`, or a preset's name."""
    numbers: list[int]
    """Its jobs in the table: several if it has replicates."""
    values: list[float]
    """Its objectives, averaged over replicates."""
    dominated_by: list[str]
    """Names of the searched configurations that are nowhere worse and somewhere better."""


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """The front of a sweep."""

    objectives: list[str]
    directions: list[str]
    reference: list[float]
    """Reference point of the hypervolume, fixed before the sweep."""
    hypervolume: float
    """Share of the box between reference point and ideal that the searched configurations dominate."""
    hypervolume_of_presets: float
    front: list[ParetoEntry]
    """Searched configurations that no other dominates, in the order of their trials."""
    presets: list[ParetoEntry]
    """Each preset at the learning rate that is best by the first objective."""
    num_configurations: int
    """Searched and completed, on the front or not."""


def compute_pareto(rows: Iterable[Row], metadata: SweepMetadata) -> Pareto | None:
    """Return the front of the completed search trials; None for a sweep of one objective, or without a trial.

    Args:
        rows: of `trials.parquet`.
        metadata: what `sweep.json` holds.

    Example:
        >>> from tests.sweeps.confirmed_table import metadata
        >>> rows = [
        ...     {"number": i, "arm": f"trial {i}", "kind": "search", "status": "completed",
        ...      "config": f'{{"lr": {i}}}', "o.valid/blank_accuracy": accuracy, "o.params": params}
        ...     for i, (accuracy, params) in enumerate([(0.8, 500), (0.7, 300), (0.6, 400)])
        ... ]
        >>> names = ["valid/blank_accuracy", "params"]
        >>> found = compute_pareto(rows, metadata(objectives=names, reference_point=[0.0, 1000.0]))
        >>> [entry.name for entry in found.front], f"{found.hypervolume:.2f}"
        (['trial 0', 'trial 1'], '0.54')
    """
    goals = metadata.goals
    if not goals.several:
        return None
    columns = [OBJECTIVE_PREFIX + name for name in goals.names]
    completed = [row for row in rows if row["status"] == "completed" and row.get(columns[0]) is not None]
    searched = _group_replicates([row for row in completed if row["kind"] == "search"])
    presets: dict[str, list[Row]] = {}
    for row in sorted(completed, key=lambda row: metadata.goal.get_sort_key(row[columns[0]])):
        if row["kind"] == "baseline":
            presets.setdefault(row["arm"], [row])
    if not searched:
        return None

    def average(runs: Sequence[Row]) -> list[float]:
        return [math.fsum(row[column] for row in runs) / len(runs) for column in columns]

    points = [goals.make_point(average(runs)) for runs in searched]

    def build_entry(runs: Sequence[Row]) -> ParetoEntry:
        values = average(runs)
        point = goals.make_point(values)
        better = [other[0]["arm"] for other, theirs in zip(searched, points) if dominates(theirs, point)]
        numbers = [row["number"] for row in runs]
        return ParetoEntry(name=runs[0]["arm"], numbers=numbers, values=values, dominated_by=better)

    return Pareto(
        objectives=goals.names,
        directions=[one.direction for one in goals.each],
        reference=list(goals.reference),
        hypervolume=compute_hypervolume([goals.scale_point(average(runs)) for runs in searched]),
        hypervolume_of_presets=compute_hypervolume(
            [goals.scale_point(average(runs)) for runs in presets.values()]
        ),
        front=[build_entry(searched[i]) for i in find_front(points)],
        presets=[build_entry(runs) for runs in presets.values()],
        num_configurations=len(searched),
    )


def write_pareto(out: Path, folder: SweepFolder) -> Path | None:
    """Write `pareto.json` into a sweep's folder; return its path, or None if there is no front.

    Args:
        out: the sweep's folder.
        folder: what it holds.
    """
    if folder.pareto is None:
        return None
    write_text_atomically(out / FILE_NAME, json.dumps(asdict(folder.pareto), indent=2) + "\n")
    return out / FILE_NAME


def _group_replicates(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the runs of each configuration, in the order of their first trials."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(json.dumps(read_config_without_seed(row), sort_keys=True), []).append(row)
    return list(groups.values())
