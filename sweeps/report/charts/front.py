"""The Pareto front of several objectives: the first over each of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeps.report import style
from sweeps.report.charts import arms
from sweeps.report.charts.chart import Axis, Chart, Layer, Panel, Points
from sweeps.report.charts.shape import told
from sweeps.report.folder import Folder, Row
from sweeps.results.schema import OBJECTIVE_PREFIX


def chart(folder: Folder) -> Chart | None:
    """Every completed trial, those on the front marked, and the presets; None with one objective."""
    found = folder.pareto
    if found is None:
        return None
    on_front = {number for one in found.front for number in one.numbers}
    trials = folder.ranked(folder.of("search"))
    members = [row for row in trials if row["number"] in on_front]
    return Chart(
        title=f"Pareto front of {' and '.join(found.objectives)}, {folder.context.task}",
        caption="Large marks are on the front: no other completed trial is as good in every objective and better in "
        "one. One seed each, which flatters. The hypervolume's reference point is in the text.",
        panels=[
            Panel(
                x=Axis(label=name if name in folder.context.goals.costs else style.metric_label(name)),
                y=Axis(label=style.metric_label(found.objectives[0])),
                layers=[
                    _points(folder, trials, name, legend="search trials", colour="sky"),
                    _points(folder, members, name, legend="on the front", colour="vermilion", size=9),
                    *_presets(folder, name),
                ],
            )
            for name in found.objectives[1:]
        ],
    )


def _presets(folder: Folder, name: str) -> list[Layer]:
    baselines = folder.ranked(folder.of("baseline"))
    return [
        _points(folder, [row for row in baselines if row["arm"] == preset], name,
                legend=f"{preset}, one seed each", mark=mark, colour="ink", hollow=True)
        for preset, mark in arms.preset_marks(folder).items()
    ]  # fmt: skip


def _points(folder: Folder, rows: Sequence[Row], name: str, legend: str, **look: Any) -> Points:
    return Points(
        name=legend,
        x=[row[OBJECTIVE_PREFIX + name] for row in rows],
        y=[row["objective"] for row in rows],
        notes=[told(folder, row) for row in rows],
        **look,
    )
