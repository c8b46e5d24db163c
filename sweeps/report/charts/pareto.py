"""Scores over their costs: the front of several objectives, the score over parameters and over compute."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hrm.system.format import format_flops
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Panel, Points
from sweeps.report.charts.layers import (
    build_confirmed,
    build_metric_axis,
    build_presets,
    build_trials,
    format_metric,
    get_objective,
)
from sweeps.report.format import format_score
from sweeps.results.schema import OBJECTIVE_PREFIX, Row
from sweeps.search.objectives import Objective

Spot = tuple[float, float, str]
"""Cost, score and tooltip."""


def build_front(folder: SweepFolder) -> Chart | None:
    """Build every completed trial, those on the front marked, and the presets; None with one objective."""
    found = folder.pareto
    if found is None:
        return None
    numbers = {number for one in found.front for number in one.numbers}
    trials = folder.best_trials
    members = [row for row in trials if row["number"] in numbers]
    panels = []
    for name in found.objectives[1:]:
        x = partial(_get_value, OBJECTIVE_PREFIX + name)
        layers = [
            build_trials(folder, trials, x, name="search trials", colour="sky"),
            build_trials(folder, members, x, name="on the front", colour="vermilion", size=9),
            *build_presets(folder, x),
        ]
        label = name if name in folder.metadata.goals.costs else format_metric(name)
        panels.append(Panel(x=Axis(label=label), y=build_metric_axis(found.objectives[0]), layers=layers))
    return Chart(
        title=f"Pareto front of {' and '.join(found.objectives)}, {folder.metadata.task}",
        caption="Large marks are on the front: no other completed trial is as good in every objective and better in "
        "one. One seed each, which flatters. The hypervolume's reference point is in the text.",
        panels=panels,
    )


def build_pareto_params(folder: SweepFolder) -> Chart | None:
    """Build the objective over parameters with its front; None without a completed trial."""
    trials = folder.best_trials
    if not trials:
        return None
    rows = [*trials, *folder.rank(folder.select("baseline"))]
    params = [row["params"] for row in rows]
    x = partial(_get_value, "params")
    spots = [(x(row), get_objective(row), "") for row in rows]
    layers: list[Layer] = [
        build_trials(folder, trials, x, name="search trials, one seed each", colour="sky"),
        *build_presets(folder, x),
        _build_front_line(find_front(folder.metadata.goal, spots), max(params)),
        *build_confirmed(folder, lambda arm: float(arm.params)),
    ]
    axis = Axis(label="parameters", log=max(params) / min(params) > 10)
    return Chart(
        title=f"Score over parameters, {folder.metadata.task}",
        caption="Objective over parameters. The front joins the trials that none with as few parameters beats; it "
        "is of one seed each, and so flatters. Large marks are the confirmed arms with 95% intervals.",
        panels=[Panel(x=axis, y=build_metric_axis(folder.metadata.objective), layers=layers)],
    )


def build_pareto_flops(folder: SweepFolder) -> Chart | None:
    """Build the metric at every validation over the training FLOPs until then, with its front."""
    metric = folder.metadata.goal.metric
    curves = {kind: _list_curves(folder, kind, metric) for kind in ("search", "baseline")}
    spots = [spot for found in curves.values() for curve in found for spot in curve]
    if not spots:
        return None
    layers: list[Layer] = []
    for kind, name, colour in (("search", "search trials", "sky"), ("baseline", "presets", "ink")):
        lines = [([spot[0] for spot in curve], [spot[1] for spot in curve]) for curve in curves[kind]]
        if lines:
            layers.append(Lines(name=name, lines=lines, colour=colour, width=0.8, dashed=kind == "baseline"))
    front = find_front(folder.metadata.goal, spots)
    x, y, tooltips = zip(*front)
    layers.append(_build_front_line(front, max(spot[0] for spot in spots)))
    layers.append(Points(x=x, y=y, tooltips=tooltips, colour="vermilion", size=5))
    axis = Axis(label="training FLOPs of a run (TFLOPs)")
    return Chart(
        title=f"Score over training compute, {folder.metadata.task}",
        caption="The metric at every validation over the training FLOPs that a run had spent; the front is the best "
        "that any run had reached for as little. One seed per line.",
        panels=[Panel(x=axis, y=build_metric_axis(metric), layers=layers)],
    )


def find_front(goal: Objective, spots: Sequence[Spot]) -> list[Spot]:
    """Return the spots that no other beats at the same cost or less, in the order of their costs."""
    front: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (spot[0], goal.get_sort_key(spot[1]))):
        if not front or goal.get_sort_key(spot[1]) < goal.get_sort_key(front[-1][1]):
            front.append(spot)
    return front


def _get_value(column: str, row: Row) -> float:
    return float(row[column])


def _build_front_line(front: Sequence[Spot], end: float) -> Lines:
    """Build the front as a stair, level from its last step to the highest cost."""
    x, y, _ = zip(*front)
    line = ([*x, float(end)], [*y, y[-1]])
    return Lines(name="Pareto front", lines=[line], colour="vermilion", width=1.8, steps=True)


def _list_curves(folder: SweepFolder, kind: str, metric: str) -> list[list[Spot]]:
    curves = []
    for row in folder.select(kind):
        points = [point for point in folder.curves.get(row["number"], []) if point.get(metric) is not None]
        if points:
            curves.append([_build_spot(row["arm"], point["train_flops"], point[metric]) for point in points])
    return curves


def _build_spot(arm: str, flops: int, value: float) -> Spot:
    return flops / 1e12, value, f"{arm}: {format_score(value)} after {format_flops(flops)}"
