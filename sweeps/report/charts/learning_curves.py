"""Learning curves of the search and the baselines; where a trial was pruned, or failed, is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeps.report import style
from sweeps.report.charts import arms
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Mark, Panel, Points
from sweeps.report.folder import Folder, Row
from sweeps.report.numbers import score

ENDS: dict[str, tuple[Mark, str]] = {"pruned": ("cross", " (×)"), "failed": ("down", " (▼)")}
"""How a curve that ends before its time is marked, in the figure and in its legend."""

Curve = tuple[list[float], list[float]]


def chart(folder: Folder) -> Chart | None:
    """The objective's metric at each report; None where no report holds one."""
    layers: list[Layer] = []
    for status in ("pruned", "failed", "completed"):
        layers += _ended(folder, status)
    presets = [curve for row in folder.of("baseline") if (curve := _curve(folder, row))]
    if presets:
        layers.append(Lines(name="preset", lines=presets, colour="ink", width=1.3, dashed=True))
    if not layers:
        return None
    layers += _best(folder)
    return Chart(
        title=f"Learning curves, {folder.context.task}, one seed a line",
        caption="Learning curves; crosses mark where trials were pruned, triangles the last report of failed ones.",
        panels=[
            Panel(
                x=Axis(label="training compute spent (share of a full run)", low=0, high=1.02),
                y=Axis(label=style.metric_label(folder.context.goal.metric)),
                layers=layers,
            )
        ],
    )


def _curve(folder: Folder, row: Row) -> Curve | None:
    metric = folder.context.goal.metric
    points = [point for point in folder.curves.get(row["number"], []) if point.get(metric) is not None]
    return ([point["fraction"] for point in points], [point[metric] for point in points]) if points else None


def _ended(folder: Folder, status: str) -> list[Layer]:
    found = [(row, curve) for row in folder.of("search", status) if (curve := _curve(folder, row))]
    if not found:
        return []
    mark, sign = ENDS.get(status, ("circle", ""))
    look: dict[str, Any] = {"colour": style.STATUS_COLOURS[status]}
    lines = Lines(name=f"search, {status}{sign}", lines=[curve for _, curve in found], **look)
    ends = Points(x=[x[-1] for _, (x, _) in found], y=[y[-1] for _, (_, y) in found], notes=_notes(found),
                  mark=mark, size=5.5 if status in ENDS else 3, **look)  # fmt: skip
    return [lines, ends]


def _notes(found: Sequence[tuple[Row, Curve]]) -> list[str]:
    return [f"{row['arm']}, {row['status']}: {score(y[-1])}" for row, (_, y) in found]


def _best(folder: Folder) -> list[Layer]:
    layers: list[Layer] = []
    for row in folder.ranked(folder.of("search"))[:1]:
        curve = _curve(folder, row)
        if curve:
            name = f"best of the search: {row['arm']}"
            colour = arms.colours(folder).get(row["arm"], "blue")
            layers.append(Lines(name=name, lines=[curve], colour=colour, width=2.4))
            layers.append(Points(x=curve[0], y=curve[1], colour=colour, size=4))
    return layers
