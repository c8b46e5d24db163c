"""What a score costs: in parameters, and in training compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.report.charts import style
from sweeps.report.charts import style as arms
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Panel, Points
from sweeps.report.charts.shape import told
from sweeps.report.format import flops, score
from sweeps.results.schema import OBJECTIVE_PREFIX


def build_front(folder: SweepFolder) -> Chart | None:
    """Every completed trial, those on the front marked, and the presets; None with one objective."""
    found = folder.pareto
    if found is None:
        return None
    on_front = {number for one in found.front for number in one.numbers}
    trials = folder.rank(folder.select("search"))
    members = [row for row in trials if row["number"] in on_front]
    return Chart(
        title=f"Pareto front of {' and '.join(found.objectives)}, {folder.metadata.task}",
        caption="Large marks are on the front: no other completed trial is as good in every objective and better in "
        "one. One seed each, which flatters. The hypervolume's reference point is in the text.",
        panels=[
            Panel(
                x=Axis(label=name if name in folder.metadata.goals.costs else style.metric_label(name)),
                y=Axis(label=style.metric_label(found.objectives[0])),
                layers=[
                    _front_points(folder, trials, name, legend="search trials", colour="sky"),
                    _front_points(folder, members, name, legend="on the front", colour="vermilion", size=9),
                    *_presets(folder, name),
                ],
            )
            for name in found.objectives[1:]
        ],
    )


def _presets(folder: SweepFolder, name: str) -> list[Layer]:
    baselines = folder.rank(folder.select("baseline"))
    return [
        _front_points(folder, [row for row in baselines if row["arm"] == preset], name,
                legend=f"{preset}, one seed each", mark=mark, colour="ink", hollow=True)
        for preset, mark in arms.preset_marks(folder).items()
    ]  # fmt: skip


def _front_points(folder: SweepFolder, rows: Sequence[Row], name: str, legend: str, **look: Any) -> Points:
    return Points(
        name=legend,
        x=[row[OBJECTIVE_PREFIX + name] for row in rows],
        y=[row["objective"] for row in rows],
        notes=[told(folder, row) for row in rows],
        **look,
    )


Spot = tuple[float, float, str]
"""Cost, score, and what a reader is told."""


def by_params(folder: SweepFolder) -> Chart | None:
    """Objective over parameters, with the trials that no smaller one beats; None without a completed trial."""
    trials = folder.rank(folder.select("search"))
    baselines = folder.rank(folder.select("baseline"))
    if not trials:
        return None
    front = front_of(folder, [_spot(folder, row) for row in [*trials, *baselines]])
    layers: list[Layer] = [_points(folder, trials, "search trials, one seed each")]
    for name, mark in arms.preset_marks(folder).items():
        rows = [row for row in baselines if row["arm"] == name]
        spots = [_spot(folder, row) for row in rows]
        layers.append(Points(name=f"{name}, one seed each", x=[s[0] for s in spots], y=[s[1] for s in spots],
                             notes=[s[2] for s in spots], mark=mark, colour="ink", hollow=True))  # fmt: skip
    params = [row["params"] for row in [*trials, *baselines]]
    layers.append(_front_line(front, max(params)))
    layers += arms.confirmed(folder, lambda arm: float(arm.params))
    x = Axis(label="parameters", log=max(params) / min(params) > 10)
    return Chart(
        title=f"Score over parameters, {folder.metadata.task}",
        caption="Objective over parameters. The front joins the trials that none with as few parameters beats; it "
        "is of one seed each, and so flatters. Large marks are the confirmed arms with 95% intervals.",
        panels=[Panel(x=x, y=Axis(label=style.metric_label(folder.metadata.objective)), layers=layers)],
    )


def by_flops(folder: SweepFolder) -> Chart | None:
    """The metric at every report over the training FLOPs spent until then, and the best for each amount."""
    metric = folder.metadata.goal.metric
    kinds = {kind: _curves(folder, folder.select(kind)) for kind in ("search", "baseline")}
    spots = [spot for curves in kinds.values() for curve in curves for spot in curve]
    if not spots:
        return None
    front = front_of(folder, spots)
    layers: list[Layer] = []
    for kind, name, colour in (("search", "search trials", "sky"), ("baseline", "presets", "ink")):
        lines = [([s[0] for s in curve], [s[1] for s in curve]) for curve in kinds[kind] if curve]
        if lines:
            layers.append(Lines(name=name, lines=lines, colour=colour, width=0.8, dashed=kind == "baseline"))
    layers.append(_front_line(front, max(spot[0] for spot in spots)))
    layers.append(Points(x=[s[0] for s in front], y=[s[1] for s in front], notes=[s[2] for s in front],
                         colour="vermilion", size=5))  # fmt: skip
    return Chart(
        title=f"Score over training compute, {folder.metadata.task}",
        caption="The metric at every report over the training FLOPs that a run had spent; the front is the best that "
        "any run had reached for as little. One seed a line.",
        panels=[
            Panel(x=Axis(label="training FLOPs of a run (TFLOPs)"), y=Axis(label=style.metric_label(metric)),
                  layers=layers)
        ],
    )  # fmt: skip


def front_of(folder: SweepFolder, spots: Sequence[Spot]) -> list[Spot]:
    """The spots that no other beats at the same cost or less, by cost."""
    goal = folder.metadata.goal
    found: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (spot[0], goal.get_sort_key(spot[1]))):
        if not found or goal.get_sort_key(spot[1]) < goal.get_sort_key(found[-1][1]):
            found.append(spot)
    return found


def _spot(folder: SweepFolder, row: Row) -> Spot:
    return float(row["params"]), row["objective"], told(folder, row)


def _points(folder: SweepFolder, rows: Sequence[Row], name: str) -> Points:
    spots = [_spot(folder, row) for row in rows]
    return Points(name=name, x=[s[0] for s in spots], y=[s[1] for s in spots], notes=[s[2] for s in spots],
                  colour="sky")  # fmt: skip


def _front_line(front: Sequence[Spot], end: float) -> Lines:
    """The front as a stair, level from its last step to the highest cost."""
    line = ([*(spot[0] for spot in front), float(end)], [*(spot[1] for spot in front), front[-1][1]])
    return Lines(name="Pareto front", lines=[line], colour="vermilion", width=1.8, steps=True)


def _curves(folder: SweepFolder, rows: Sequence[Row]) -> list[list[Spot]]:
    metric = folder.metadata.goal.metric
    return [
        [
            (point["train_flops"] / 1e12, point[metric],
             f"{row['arm']}: {score(point[metric])} after {flops(point['train_flops'])}")
            for point in folder.curves.get(row["number"], [])
            if point.get(metric) is not None
        ]
        for row in rows
    ]  # fmt: skip
