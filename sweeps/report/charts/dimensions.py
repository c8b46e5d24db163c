"""The search trials over the dimensions of the space: main effects, importance, parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from sweeps.analysis.importance import METHODS, Effect
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.charts.chart import Axis, Bars, Chart, ColourScale, Lines, Panel, Points
from sweeps.report.charts.layers import build_metric_axis, format_metric
from sweeps.report.format import format_count, format_estimate, format_percent, format_score, format_short
from sweeps.results.schema import PARAMETER_PREFIX, Row

MAX_TICKS = 6
"""Values of a grid that are marked, each at its place, on a logarithmic axis."""
MIN_RUNS = 3
"""Fewest runs of an interval that is drawn: one of two runs is wider than any figure."""
METHOD_COLOURS = ("blue", "orange")


@dataclass(frozen=True)
class Dimension:
    """A quantity in which trials differ: numbers, or words with a place each."""

    label: str
    values: Sequence[Any]
    """One per trial."""
    log: bool = False
    format: Callable[[Any], str] = format_short

    @cached_property
    def names(self) -> list[str]:
        """The words in the order of their places; empty for numbers."""
        words = any(isinstance(value, str | bool) for value in self.values)
        return sorted({str(value) for value in self.values}) if words else []

    @cached_property
    def places(self) -> list[float]:
        """The place of each trial on the axis."""
        return [self.find_place(value) for value in self.values]

    def find_place(self, value: Any) -> float:
        """Return the place of a value on the axis."""
        return float(self.names.index(str(value)) if self.names else value)

    def build_axis(self) -> Axis:
        """Return the axis, marked at the values themselves where these are few and far apart."""
        grid = sorted(set(self.places))
        ticks = grid if self.log and len(grid) <= MAX_TICKS else []
        whole = not self.names and all(place.is_integer() for place in grid)
        return Axis(label=self.label, names=self.names, log=self.log, ticks=ticks, whole=whole)


def spans(values: Sequence[Any], factor: float) -> bool:
    """Return whether the values are positive numbers of which the largest is so many times the smallest."""
    is_numeric = not any(isinstance(value, str | bool) for value in values)
    return is_numeric and min(values) > 0 and max(values) / min(values) >= factor


def build_main_effects(folder: SweepFolder) -> Chart | None:
    """Build a panel per dimension: every trial, and the mean of each value; None if none varies."""
    evidence = folder.evidence
    if evidence is None or not folder.effects:
        return None
    return Chart(
        title=f"Main effects at {evidence.fraction:.0%} of a run, n = {len(evidence.rows)} trials",
        caption=f"Objective of every search trial after {evidence.fraction:.0%} of its training, the last validation "
        f"that all reached, over each searched value; squares are means, with 95% intervals where {MIN_RUNS} trials "
        "or more share a value. Other values differ too.",
        panels=[_build_effect(folder, effect, evidence.rows, evidence.scores) for effect in folder.effects],
        width=10.8,
        height=3.4 * -(-len(folder.effects) // 3) + 0.6,
    )


def _build_effect(folder: SweepFolder, effect: Effect, rows: Sequence[Row], scores: Any) -> Panel:
    values = [row[PARAMETER_PREFIX + effect.name] for row in rows]
    dimension = Dimension(effect.name, values, log=spans(values, 8))
    means = [level.score for level in effect.levels]
    at_names = [float(i) for i in range(len(means))]
    layers = [
        Points(x=dimension.places, y=list(scores), colour="grey", size=3.5, hollow=True),
        Points(
            x=at_names if dimension.names else [fmean(level.values) for level in effect.levels],
            y=[mean.mean for mean in means],
            y_error=[(mean.half_width or 0.0) if mean.n >= MIN_RUNS else 0.0 for mean in means],
            mark="square",
            size=7,
            tooltips=[
                f"{effect.name}={level.label}: {format_estimate(level.score)}" for level in effect.levels
            ],
        ),
    ]
    return Panel(x=dimension.build_axis(), y=build_metric_axis(folder.metadata.objective), layers=layers)


def build_importance(folder: SweepFolder) -> Chart | None:
    """Build bars of both methods; None with too few trials."""
    found, evidence = folder.importances, folder.evidence
    if found is None or evidence is None:
        return None
    names = list(next(iter(found.values())))
    layers = [
        Bars(
            name=method,
            at=[i + 0.2 * (2 * k - 1) for i in range(len(names))],
            start=[0.0] * len(names),
            length=[shares[name] for name in names],
            height=0.36,
            colour=METHOD_COLOURS[k],
            tooltips=[
                f"{name}, {method}: {format_score(shares[name])} ({format_percent(shares[name])})"
                for name in names
            ],
        )
        for k, (method, shares) in enumerate(found.items())
    ]
    questions = "; ".join(f"{method}: {question}" for method, question in METHODS.items())
    x, y = Axis(label="importance (share)", low=0), Axis(label="", names=names)
    return Chart(
        title=f"Importance by two methods, n = {len(evidence.rows)} trials",
        caption="Share of each searched dimension. The methods ask different questions and may disagree. "
        f"{questions}.",
        panels=[Panel(x=x, y=y, layers=layers)],
        height=1.4 + 0.6 * len(names),
    )


def list_dimensions(folder: SweepFolder) -> tuple[list[Row], list[Dimension]]:
    """Return the search trials that have an objective, and in what they differ; the objective comes last."""
    rows = [row for row in folder.select("search") if row["objective"] is not None]
    columns = {name: PARAMETER_PREFIX + name for name in folder.metadata.value_names} | {
        "parameters": "params"
    }
    found = []
    for label, column in columns.items():
        values = [row[column] for row in rows]
        if None not in values and len(set(values)) > 1:
            written = format_count if column == "params" else format_short
            found.append(Dimension(label, values, spans(values, 10), written))
    scores = [row["objective"] for row in rows]
    label = folder.metadata.objective.rpartition("/")[2]
    return rows, [*found, Dimension(label, scores, bool(scores) and spans(scores, 10), format_score)]


def build_brush_data(folder: SweepFolder) -> dict[str, Any] | None:
    """Return what the page's script draws as parallel coordinates; None without two trials that differ."""
    rows, dimensions = list_dimensions(folder)
    if len(rows) < 2 or len(dimensions) < 2:
        return None
    *_, score = dimensions
    return {
        "title": f"{len(rows)} search trials; drag along an axis to select",
        "maximize": folder.metadata.goal.direction == "maximize",
        "scale": {"label": score.label, "low": min(score.values), "high": max(score.values), "log": False},
        "axes": [{"label": one.label, "names": one.names, "log": one.log} for one in dimensions],
        "trials": [
            {
                "name": row["arm"],
                "status": row["status"],
                "value": row["objective"],
                "values": [one.places[i] for one in dimensions],
                "shown": [one.format(one.values[i]) for one in dimensions],
            }
            for i, row in enumerate(rows)
        ],
    }


def build_parallel_coordinates(folder: SweepFolder) -> Chart | None:
    """Build the same for paper, each axis from its lowest to its highest value."""
    rows, dimensions = list_dimensions(folder)
    if len(rows) < 2 or len(dimensions) < 2:
        return None
    shares = [_compute_shares(one) for one in dimensions]
    scores = dimensions[-1].values
    order = sorted(range(len(rows)), key=lambda i: -folder.metadata.goal.get_sort_key(scores[i]))
    lines = [(list(range(len(dimensions))), [column[i] for column in shares]) for i in order]
    x = Axis(label="", names=[f"{one.label}\n{_format_ends(one)}" for one in dimensions])
    y = Axis(label="lowest (0) to highest (1)", ticks=(0, 1), low=-0.03, high=1.03)
    layers = [Lines(lines=lines, shades=[scores[i] for i in order], width=1)]
    return Chart(
        title=f"{len(rows)} search trials, one seed each",
        caption="Parallel coordinates of the search trials; pruned and failed ones are shown at their last value, "
        "from a shorter run.",
        panels=[Panel(x=x, y=y, layers=layers)],
        scale=ColourScale(label=format_metric(folder.metadata.objective), low=min(scores), high=max(scores)),
        width=max(7.2, 1.3 * len(dimensions)),
    )


def _compute_shares(dimension: Dimension) -> list[float]:
    places = [math.log(place) for place in dimension.places] if dimension.log else dimension.places
    low, high = min(places), max(places)
    return [(place - low) / (high - low) if high > low else 0.5 for place in places]


def _format_ends(dimension: Dimension) -> str:
    pairs = sorted(zip(dimension.places, dimension.values), key=lambda pair: pair[0])
    return f"{dimension.format(pairs[0][1])}\nto {dimension.format(pairs[-1][1])}"
