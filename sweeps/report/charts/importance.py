"""Parallel coordinates of the search: a line a trial through all its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sweeps.analysis.importance import MAX_LEVELS, METHODS, Effect, Level
from sweeps.analysis.statistics import Estimate
from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.report.charts import style
from sweeps.report.charts.chart import Axis, Bars, Chart, Layer, Lines, Panel, Points, Scale
from sweeps.report.format import count, format_interval, percent, score
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.tables import format_short

MIN_RUNS = 3
"""Of an interval that is drawn: one of two runs is wider than any figure."""
METHOD_COLOURS = ("blue", "orange")


def main_effects(folder: SweepFolder) -> Chart | None:
    """A panel a dimension: every trial, and the mean of each value; None where none varies."""
    evidence = folder.evidence
    if evidence is None or not folder.effects:
        return None
    return Chart(
        title=f"Main effects at {evidence.fraction:.0%} of a run, n = {len(evidence.rows)} trials",
        caption=f"Objective of every search trial after {evidence.fraction:.0%} of its training, the last report "
        f"that all reached, over each searched value; squares are means, with 95% intervals where {MIN_RUNS} trials "
        "or more share a value. Other values differ too.",
        panels=[_panel(folder, effect) for effect in folder.effects],
        wide=10.8,
        height=3.4 * -(-len(folder.effects) // 3) + 0.6,
    )


def _panel(folder: SweepFolder, effect: Effect) -> Panel:
    evidence = folder.evidence
    assert evidence is not None
    words = any(isinstance(value, str | bool) for level in effect.levels for value in level.values)
    names = [level.label for level in effect.levels] if words else []
    dots_x: list[float] = []
    for row in evidence.rows:
        value = row[PARAMETER_PREFIX + effect.name]
        dots_x.append(float(names.index(str(value)) if words else value))
    at = [float(i) if words else fmean(level.values) for i, level in enumerate(effect.levels)]
    means = [level.score for level in effect.levels]
    notes = [_told(effect, level) for level in effect.levels]
    layers: list[Layer] = [
        Points(x=dots_x, y=list(evidence.scores), colour="grey", size=3.5, hollow=True),
        Points(x=at, y=[mean.mean for mean in means], y_error=[_bar(mean) for mean in means],
               mark="square", size=7, notes=notes),
    ]  # fmt: skip
    positive = not words and min(dots_x) > 0
    log = positive and max(dots_x) / min(dots_x) >= 8
    grid = sorted(set(dots_x)) if log and len(set(dots_x)) <= MAX_LEVELS else []
    axis = Axis(label=effect.name, names=names, log=log, ticks=grid,
                whole=not words and all(at.is_integer() for at in dots_x))  # fmt: skip
    return Panel(x=axis, y=Axis(label=style.metric_label(folder.metadata.objective)), layers=layers)


def _bar(mean: Estimate) -> float:
    return mean.half_width if mean.half_width is not None and mean.n >= MIN_RUNS else 0.0


def _told(effect: Effect, level: Level) -> str:
    mean = format_interval(level.score.mean, level.score.half_width)
    return f"{effect.name}={level.label}: {mean}, n = {level.score.n}"


def importance(folder: SweepFolder) -> Chart | None:
    """Bars of both methods; None where too few trials tell."""
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
            notes=[f"{name}, {method}: {score(shares[name])} ({percent(shares[name])})" for name in names],
        )
        for k, (method, shares) in enumerate(found.items())
    ]
    asked = "; ".join(f"{method}: {question}" for method, question in METHODS.items())
    return Chart(
        title=f"Importance by two methods, n = {len(evidence.rows)} trials",
        caption=f"Share of each searched dimension. The methods ask different things and may disagree. {asked}.",
        panels=[
            Panel(x=Axis(label="importance (share)", low=0), y=Axis(label="", names=names), layers=layers)
        ],
        height=1.4 + 0.6 * len(names),
    )


@dataclass(frozen=True)
class Dimension:
    """An axis of the figure, and each trial's value on it."""

    label: str
    values: Sequence[Any]
    shown: Sequence[str]

    @property
    def names(self) -> list[str]:
        """Of an axis of words; empty for numbers."""
        words = any(isinstance(value, str | bool) for value in self.values)
        return sorted({str(value) for value in self.values}) if words else []

    @property
    def log(self) -> bool:
        return not self.names and min(self.values) > 0 and max(self.values) / min(self.values) >= 10

    @property
    def places(self) -> list[float]:
        names = self.names
        return [float(names.index(str(value)) if names else value) for value in self.values]


def dimensions(folder: SweepFolder) -> tuple[list[Row], list[Dimension]]:
    """The search trials that have an objective, and the dimensions in which they differ; the objective last."""
    rows = [row for row in folder.select("search") if row["objective"] is not None]
    found = []
    for name in folder.metadata.value_names:
        values = [row[PARAMETER_PREFIX + name] for row in rows]
        if None not in values and len(set(values)) > 1:
            found.append(Dimension(name, values, [format_short(value) for value in values]))
    sizes = [row["params"] for row in rows]
    if len(set(sizes)) > 1:
        found.append(Dimension("parameters", sizes, [count(size) for size in sizes]))
    scores = [row["objective"] for row in rows]
    name = folder.metadata.objective.rpartition("/")[2]
    return rows, [*found, Dimension(name, scores, [score(value) for value in scores])]


def widget(folder: SweepFolder) -> dict[str, Any] | None:
    """What the page's script draws; None without two trials to tell apart."""
    rows, axes = dimensions(folder)
    if len(rows) < 2 or len(axes) < 2:
        return None
    places = [axis.places for axis in axes]
    return {
        "title": f"{len(rows)} search trials; drag along an axis to select",
        "maximize": folder.metadata.goal.direction == "maximize",
        "scale": {"label": axes[-1].label, "low": min(axes[-1].values), "high": max(axes[-1].values), "log": False},
        "axes": [{"label": axis.label, "names": axis.names, "log": axis.log} for axis in axes],
        "trials": [
            {"name": row["arm"], "status": row["status"], "value": row["objective"],
             "values": [column[i] for column in places], "shown": [axis.shown[i] for axis in axes]}
            for i, row in enumerate(rows)
        ],
    }  # fmt: skip


def build_parallel_coordinates(folder: SweepFolder) -> Chart | None:
    """The same on paper, each axis from its lowest to its highest value."""
    rows, axes = dimensions(folder)
    if len(rows) < 2 or len(axes) < 2:
        return None
    shares = [_shares(axis) for axis in axes]
    order = sorted(range(len(rows)), key=lambda i: -folder.metadata.goal.get_sort_key(axes[-1].values[i]))
    lines = [(list(range(len(axes))), [column[i] for column in shares]) for i in order]
    names = [f"{axis.label}\n{_ends(axis)}" for axis in axes]
    values = [axes[-1].values[i] for i in order]
    layer = Lines(lines=lines, shades=values, width=1)
    return Chart(
        title=f"{len(rows)} search trials, one seed each",
        caption="Parallel coordinates of the search trials; pruned and failed ones stand at their last value, which "
        "a shorter run gave.",
        panels=[
            Panel(
                x=Axis(label="", names=names),
                y=Axis(label="lowest (0) to highest (1)", ticks=(0, 1), low=-0.03, high=1.03),
                layers=[layer],
            )
        ],
        scale=Scale(label=style.metric_label(folder.metadata.objective), low=min(values), high=max(values)),
        wide=max(7.2, 1.3 * len(axes)),
    )


def _shares(axis: Dimension) -> list[float]:
    places = [math.log(place) for place in axis.places] if axis.log else axis.places
    low, high = min(places), max(places)
    return [(place - low) / (high - low) if high > low else 0.5 for place in places]


def _ends(axis: Dimension) -> str:
    low, high = (axis.shown[axis.places.index(end(axis.places))] for end in (min, max))
    return f"{low}\nto {high}"
