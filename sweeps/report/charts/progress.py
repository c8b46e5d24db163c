"""The course of a sweep: learning curves, the best so far, where the compute went."""

from __future__ import annotations

from typing import Any

from hrm.system.format import format_flops
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.charts.chart import (
    STATUS_COLOURS,
    Axis,
    Bars,
    Chart,
    HorizontalLine,
    Layer,
    Lines,
    Mark,
    Panel,
    Points,
)
from sweeps.report.charts.layers import build_metric_axis, build_trials, choose_arm_colours
from sweeps.report.format import format_score
from sweeps.results.schema import Row

Curve = tuple[list[float], list[float]]

MARKS: dict[str, Mark] = {"completed": "circle", "pruned": "cross", "failed": "down"}
LEGENDS = {"pruned": "search, pruned (×)", "failed": "search, failed (▼)", "completed": "search, completed"}
"""Legends of learning curves, in the order in which they are drawn."""
GROUPS = {
    "search, completed": ("search", "completed"),
    "search, pruned": ("search", "pruned"),
    "search, failed": ("search", "failed"),
    "presets": ("baseline", None),
    "confirmed": ("confirm", None),
}
"""Bars of the compute, by kind and status of their runs."""


def build_best_so_far(folder: SweepFolder) -> Chart | None:
    """Build the best objective against training FLOPs, in the order of starting; None without an objective."""
    trials = [one for one in folder.follow_search() if one[0]["objective"] is not None]
    steps = [(flops / 1e12, best) for _, flops, best in trials if best is not None]
    if not steps:
        return None
    spent = {row["number"]: flops / 1e12 for row, flops, _ in trials}
    layers: list[Layer] = []
    for status, mark in MARKS.items():
        rows = [row for row, _, _ in trials if row["status"] == status]
        if rows:
            look: dict[str, Any] = {"mark": mark, "colour": STATUS_COLOURS[status]}
            name = f"{status} trial (n = {len(rows)})"
            layers.append(build_trials(folder, rows, lambda row: spent[row["number"]], name=name, **look))
    line = ([x for x, _ in steps], [y for _, y in steps])
    layers.append(Lines(name="best completed so far", lines=[line], width=2, steps=True))
    for row in folder.rank(folder.select("baseline"))[:1]:
        layers.append(HorizontalLine(name=f"{row['arm']} at its best", y=row["objective"]))
    x = Axis(label="training FLOPs of the search so far (TFLOPs)")
    return Chart(
        title=f"The search, {folder.metadata.task}, one seed per trial",
        caption="Best so far against compute; pruned and failed trials are shown at their last value.",
        panels=[Panel(x=x, y=build_metric_axis(folder.metadata.objective), layers=layers)],
    )


def build_learning_curves(folder: SweepFolder) -> Chart | None:
    """Build the objective's metric at each validation; None without any."""
    layers = [layer for status in LEGENDS for layer in _build_curves(folder, status)]
    presets = [curve for row in folder.select("baseline") if (curve := _read_curve(folder, row))]
    if presets:
        layers.append(Lines(name="preset", lines=presets, colour="ink", width=1.3, dashed=True))
    if not layers:
        return None
    for row in folder.best_trials[:1]:
        if curve := _read_curve(folder, row):
            colour = choose_arm_colours(folder).get(row["arm"], "blue")
            name = f"best of the search: {row['arm']}"
            layers.append(Lines(name=name, lines=[curve], colour=colour, width=2.4))
            layers.append(Points(x=curve[0], y=curve[1], colour=colour, size=4))
    x = Axis(label="training compute spent (share of a full run)", low=0, high=1.02)
    return Chart(
        title=f"Learning curves, {folder.metadata.task}, one seed per line",
        caption="Learning curves; crosses mark where trials were pruned, triangles where failed ones ended.",
        panels=[Panel(x=x, y=build_metric_axis(folder.metadata.goal.metric), layers=layers)],
    )


def build_compute(folder: SweepFolder) -> Chart | None:
    """Build training and evaluation FLOPs of each group of runs; None without a run."""
    groups = {name: rows for name, selection in GROUPS.items() if (rows := folder.select(*selection))}
    if not groups:
        return None
    layers = []
    start = [0.0] * len(groups)
    for column, word, colour in (("train_flops", "training", "blue"), ("eval_flops", "evaluation", "sky")):
        spent = {name: sum(row[column] or 0 for row in rows) for name, rows in groups.items()}
        length = [flops / 1e12 for flops in spent.values()]
        tooltips = [f"{name}: {format_flops(flops)} of {word}" for name, flops in spent.items()]
        look: dict[str, Any] = {"name": word, "colour": colour, "tooltips": tooltips}
        layers.append(Bars(at=list(range(len(groups))), start=start, length=length, **look))
        start = length
    names = [f"{name}\nn = {len(rows)}" for name, rows in groups.items()]
    return Chart(
        title=f"Compute spent, {folder.metadata.task}",
        caption="FLOPs by what they were spent on; n counts runs. Pruned and failed ones up to their last "
        "validation.",
        panels=[Panel(x=Axis(label="TFLOPs", low=0), y=Axis(label="", names=names), layers=layers)],
        height=1.4 + 0.55 * len(names),
    )


def _build_curves(folder: SweepFolder, status: str) -> list[Layer]:
    found = [(row, curve) for row in folder.select("search", status) if (curve := _read_curve(folder, row))]
    if not found:
        return []
    look: dict[str, Any] = {"colour": STATUS_COLOURS[status]}
    return [
        Lines(name=LEGENDS[status], lines=[curve for _, curve in found], **look),
        Points(
            x=[x[-1] for _, (x, _) in found],
            y=[y[-1] for _, (_, y) in found],
            tooltips=[f"{row['arm']}, {status}: {format_score(y[-1])}" for row, (_, y) in found],
            mark=MARKS[status],
            size=3 if status == "completed" else 5.5,
            **look,
        ),
    ]


def _read_curve(folder: SweepFolder, row: Row) -> Curve | None:
    metric = folder.metadata.goal.metric
    points = [point for point in folder.curves.get(row["number"], []) if point.get(metric) is not None]
    return ([point["fraction"] for point in points], [point[metric] for point in points]) if points else None
