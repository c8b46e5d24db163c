"""Parallel coordinates of the search: a line a trial through all its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.report import style
from sweeps.report.charts.chart import Axis, Chart, Lines, Panel, Scale
from sweeps.report.folder import Folder, Row
from sweeps.report.numbers import count, score
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.values import short


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


def dimensions(folder: Folder) -> tuple[list[Row], list[Dimension]]:
    """The search trials that have an objective, and the dimensions in which they differ; the objective last."""
    rows = [row for row in folder.of("search") if row["objective"] is not None]
    found = []
    for name in folder.context.value_names:
        values = [row[PARAMETER_PREFIX + name] for row in rows]
        if None not in values and len(set(values)) > 1:
            found.append(Dimension(name, values, [short(value) for value in values]))
    sizes = [row["params"] for row in rows]
    if len(set(sizes)) > 1:
        found.append(Dimension("parameters", sizes, [count(size) for size in sizes]))
    scores = [row["objective"] for row in rows]
    name = folder.context.objective.rpartition("/")[2]
    return rows, [*found, Dimension(name, scores, [score(value) for value in scores])]


def widget(folder: Folder) -> dict[str, Any] | None:
    """What the page's script draws; None without two trials to tell apart."""
    rows, axes = dimensions(folder)
    if len(rows) < 2 or len(axes) < 2:
        return None
    places = [axis.places for axis in axes]
    return {
        "title": f"{len(rows)} search trials; drag along an axis to select",
        "maximize": folder.context.goal.direction == "maximize",
        "scale": {"label": axes[-1].label, "low": min(axes[-1].values), "high": max(axes[-1].values), "log": False},
        "axes": [{"label": axis.label, "names": axis.names, "log": axis.log} for axis in axes],
        "trials": [
            {"name": row["arm"], "status": row["status"], "value": row["objective"],
             "values": [column[i] for column in places], "shown": [axis.shown[i] for axis in axes]}
            for i, row in enumerate(rows)
        ],
    }  # fmt: skip


def chart(folder: Folder) -> Chart | None:
    """The same on paper, each axis from its lowest to its highest value."""
    rows, axes = dimensions(folder)
    if len(rows) < 2 or len(axes) < 2:
        return None
    shares = [_shares(axis) for axis in axes]
    order = sorted(range(len(rows)), key=lambda i: -folder.context.goal.best_first(axes[-1].values[i]))
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
        scale=Scale(label=style.metric_label(folder.context.objective), low=min(values), high=max(values)),
        wide=max(7.2, 1.3 * len(axes)),
    )


def _shares(axis: Dimension) -> list[float]:
    places = [math.log(place) for place in axis.places] if axis.log else axis.places
    low, high = min(places), max(places)
    return [(place - low) / (high - low) if high > low else 0.5 for place in places]


def _ends(axis: Dimension) -> str:
    low, high = (axis.shown[axis.places.index(end(axis.places))] for end in (min, max))
    return f"{low}\nto {high}"
