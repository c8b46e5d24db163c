"""The Pareto front of a sweep of several objectives, and where the presets stand. A pure function of the table.

`pareto.json` holds it. All of it is of one seed a trial, and so flatters: what is confirmed, the arms say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hrm.system.files import write_text_atomically
from sweeps.results.metadata import SweepMetadata, read_metadata
from sweeps.results.schema import OBJECTIVE_PREFIX
from sweeps.results.tables import read_trials
from sweeps.search.pareto_front import compute_hypervolume, dominates, find_front

FILE_NAME = "pareto.json"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A configuration among the others."""

    name: str
    """`trial 7`, or a preset's name."""
    numbers: list[int]
    """Of its jobs in the table: several where it has replicates."""
    values: list[float]
    """Of the objectives; means where it has replicates."""
    dominated_by: list[str]
    """Names of the searched configurations that are nowhere worse and somewhere better."""


@dataclass(frozen=True, kw_only=True)
class Pareto:
    objectives: list[str]
    directions: list[str]
    reference: list[float]
    """The point where the hypervolume begins: fixed before the sweep."""
    hypervolume: float
    """Share of the box between reference point and ideal that the searched configurations dominate."""
    hypervolume_of_presets: float
    front: list[Standing]
    """Searched configurations that no other dominates, in the order of their trials."""
    presets: list[Standing]
    """Each baseline at its learning rate that is best by the first objective."""
    num_configurations: int
    """Searched and completed, on the front or not."""


def pareto(rows: Iterable[Mapping[str, Any]], metadata: SweepMetadata) -> Pareto | None:
    """The front of the completed search trials; None for a sweep of one objective, or without one."""
    goals = metadata.goals
    if not goals.several:
        return None
    columns = [OBJECTIVE_PREFIX + name for name in goals.names]
    ended = [row for row in rows if row["status"] == "completed" and row.get(columns[0]) is not None]
    searched = _searched([row for row in ended if row["kind"] == "search"], columns)
    presets = _presets([row for row in ended if row["kind"] == "baseline"], columns, metadata)
    if not searched:
        return None

    def standing(name: str, numbers: list[int], values: list[float]) -> Standing:
        point = goals.make_point(values)
        better = [other for other, _, theirs in searched if dominates(goals.make_point(theirs), point)]
        return Standing(name=name, numbers=numbers, values=values, dominated_by=better)

    members = find_front([goals.make_point(values) for _, _, values in searched])
    return Pareto(
        objectives=goals.names,
        directions=[one.direction for one in goals.each],
        reference=list(goals.reference),
        hypervolume=compute_hypervolume([goals.scale_point(values) for _, _, values in searched]),
        hypervolume_of_presets=compute_hypervolume([goals.scale_point(values) for _, _, values in presets]),
        front=[standing(*searched[place]) for place in members],
        presets=[standing(*preset) for preset in presets],
        num_configurations=len(searched),
    )


def write_pareto(out: Path) -> Path | None:
    """Writes `pareto.json` into a sweep's folder; None where there is no front."""
    found = pareto(read_trials(out).to_pylist(), read_metadata(out))
    if found is None:
        return None
    write_text_atomically(out / FILE_NAME, json.dumps(asdict(found), indent=2) + "\n")
    return out / FILE_NAME


_Entry = tuple[str, list[int], list[float]]
"""Name, job numbers, values."""


def _searched(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[_Entry]:
    """Configurations, under the name of their first trial."""
    same: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        config = {name: value for name, value in json.loads(row["config"]).items() if name != "seed"}
        same.setdefault(json.dumps(config, sort_keys=True), []).append(row)
    return [
        (runs[0]["arm"], [row["number"] for row in runs], [_mean(runs, column) for column in columns])
        for runs in same.values()
    ]


def _presets(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], metadata: SweepMetadata
) -> list[_Entry]:
    best: dict[str, Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: metadata.goal.get_sort_key(row[columns[0]])):
        best.setdefault(row["arm"], row)
    return [(name, [row["number"]], [row[column] for column in columns]) for name, row in best.items()]


def _mean(rows: Sequence[Mapping[str, Any]], column: str) -> float:
    return math.fsum(row[column] for row in rows) / len(rows)
