"""Width against depth: where along the budget the search looked, and what it found there."""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm.families import family
from sweeps.report.charts import arms
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Panel, Points, Scale
from sweeps.report.charts.shape import told
from sweeps.report.folder import Folder, Row
from sweeps.report.numbers import score
from sweeps.report.style import metric_label

WIDTH_STEP = 4
"""Of the widths at which the budget's edge is sought."""


def chart(folder: Folder) -> Chart | None:
    """Layers over width; None where the search tried one shape only, or nothing completed."""
    rows = [row for row in folder.of("search") if row["status"] != "failed"]
    trials = folder.ranked(rows)
    if not trials or len({_place(folder, row) for row in rows}) < 2:
        return None
    values = [row["objective"] for row in trials]
    pruned = [row for row in rows if row["status"] == "pruned"]
    layers: list[Layer] = _edge(folder, [_place(folder, row) for row in [*rows, *folder.of("baseline")]])
    if pruned:
        layers.append(_marks(folder, pruned, name="pruned", mark="cross", colour="grey", size=5))
    layers.append(_marks(folder, trials[::-1], shades=values[::-1], size=11, mark="square"))
    for name, mark in arms.preset_marks(folder).items():
        own = [row for row in folder.ranked(folder.of("baseline")) if row["arm"] == name][:1]
        if own:
            layers.append(_marks(folder, own, name=name, mark=mark, colour="ink", hollow=True, size=10))
    best = folder.comparisons.best
    if best and not best.is_baseline:
        x, y = _of(folder, best.config)
        layers.append(Points(name=f"best confirmed: {best.name}", x=[x], y=[y], hollow=True, size=15,
                             colour=arms.colours(folder)[best.name], mark="circle", notes=[best.name]))  # fmt: skip
    return Chart(
        title=f"Width and depth, {folder.context.task}",
        caption=f"Layers over width ({folder.width_field}); squares are completed trials of one seed each, colour is "
        "the objective, crosses were pruned. The line is the widest shape that the budget allows with the other "
        "values of the best one.",
        panels=[
            Panel(
                x=Axis(label=f"width ({folder.width_field})", whole=True),
                y=Axis(label="layers of all modules", whole=True),
                layers=layers,
            )
        ],
        scale=Scale(label=metric_label(folder.context.objective), low=min(values), high=max(values)),
    )


def _marks(folder: Folder, rows: list[Row], **look: Any) -> Points:
    places = [_place(folder, row) for row in rows]
    notes = [told(folder, row) if row["status"] == "completed" else f"{row['arm']}, pruned: {score(row['objective'])}"
             for row in rows]  # fmt: skip
    return Points(x=[x for x, _ in places], y=[y for _, y in places], notes=notes, **look)


def _place(folder: Folder, row: Row) -> tuple[float, float]:
    return _of(folder, folder.config(row))


def _of(folder: Folder, config: dict[str, Any]) -> tuple[float, float]:
    model = config["model"]
    return float(model[folder.width_field]), float(sum(model[name] for name in _layer_fields(model)))


def _layer_fields(model: dict[str, Any]) -> list[str]:
    return [name for name in model if name.endswith("layers")]


def _edge(folder: Folder, places: list[tuple[float, float]]) -> list[Layer]:
    """The budget's edge over the depths that were tried, exact, for the best trial's other values."""
    budget = folder.context.max_params
    config = folder.config(folder.ranked(folder.of("search"))[0])
    model, fields = config["model"], _layer_fields(config["model"])
    if budget is None or not fields:
        return []
    depths = np.arange(min(int(y) for _, y in places), max(int(y) for _, y in places) + 1)
    widths = np.arange(WIDTH_STEP, int(max(x for x, _ in places) * 2) + 1, WIDTH_STEP)
    others = sum(model[name] for name in fields[1:])
    shapes = {**model, folder.width_field: widths[None, :], fields[0]: depths[:, None] - others}
    params = np.asarray(family(config["family"]).count_arrays(shapes)["params"])
    widest = [int(widths[fits].max()) if (fits := row <= budget).any() else None for row in params]
    edge = [(float(width), float(depth)) for width, depth in zip(widest, depths) if width is not None]
    line = ([x for x, _ in edge], [y for _, y in edge])
    return [Lines(name=f"{budget:,} parameters", lines=[line], colour="grey", dashed=True)] if edge else []
