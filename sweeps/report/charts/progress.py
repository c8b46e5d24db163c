"""Learning curves of the search and the baselines; where a trial was pruned, or failed, is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.report.charts import style
from sweeps.report.charts import style as arms
from sweeps.report.charts.chart import Axis, Bars, Chart, Layer, Lines, Mark, Panel, Points, Rule
from sweeps.report.format import flops, score

MARKS: dict[str, Mark] = {"completed": "circle", "pruned": "cross", "failed": "down"}


def build_best_so_far(folder: SweepFolder) -> Chart | None:
    """Best objective against training FLOPs, in the order of starting; None without a completed trial."""
    goal = folder.metadata.goal
    best: float | None = None
    spent = 0
    steps: list[tuple[float, float]] = []
    dots: dict[str, list[tuple[float, float, str]]] = {}
    for row in folder.select("search"):
        spent += row["train_flops"] or 0
        value = row["objective"]
        if value is None:
            continue
        told = f"{row['arm']}, {row['status']}: {score(value)}"
        dots.setdefault(row["status"], []).append((spent / 1e12, value, told))
        if row["status"] == "completed" and (
            best is None or goal.get_sort_key(value) < goal.get_sort_key(best)
        ):
            best = value
        if best is not None:
            steps.append((spent / 1e12, best))
    if not steps:
        return None
    layers: list[Layer] = [
        Points(name=f"{status} trial (n = {len(found)})", x=[dot[0] for dot in found], y=[dot[1] for dot in found],
               notes=[dot[2] for dot in found], mark=MARKS[status], colour=style.STATUS_COLOURS[status])
        for status, found in dots.items()
    ]  # fmt: skip
    line = ([x for x, _ in steps], [y for _, y in steps])
    layers.append(Lines(name="best completed so far", lines=[line], width=2, steps=True))
    for row in folder.rank(folder.select("baseline"))[:1]:
        layers.append(Rule(name=f"{row['arm']} at its best", y=row["objective"]))
    x = Axis(label="training FLOPs of the search so far (TFLOPs)")
    return Chart(
        title=f"The search, {folder.metadata.task}, one seed a trial",
        caption="Best so far against compute; pruned and failed trials stand at their last value.",
        panels=[Panel(x=x, y=Axis(label=style.metric_label(folder.metadata.objective)), layers=layers)],
    )


ENDS: dict[str, tuple[Mark, str]] = {"pruned": ("cross", " (×)"), "failed": ("down", " (▼)")}
"""How a curve that ends before its time is marked, in the figure and in its legend."""

Curve = tuple[list[float], list[float]]


def build_learning_curves(folder: SweepFolder) -> Chart | None:
    """The objective's metric at each report; None where no report holds one."""
    layers: list[Layer] = []
    for status in ("pruned", "failed", "completed"):
        layers += _ended(folder, status)
    presets = [curve for row in folder.select("baseline") if (curve := _curve(folder, row))]
    if presets:
        layers.append(Lines(name="preset", lines=presets, colour="ink", width=1.3, dashed=True))
    if not layers:
        return None
    layers += _best(folder)
    return Chart(
        title=f"Learning curves, {folder.metadata.task}, one seed a line",
        caption="Learning curves; crosses mark where trials were pruned, triangles the last report of failed ones.",
        panels=[
            Panel(
                x=Axis(label="training compute spent (share of a full run)", low=0, high=1.02),
                y=Axis(label=style.metric_label(folder.metadata.goal.metric)),
                layers=layers,
            )
        ],
    )


def _curve(folder: SweepFolder, row: Row) -> Curve | None:
    metric = folder.metadata.goal.metric
    points = [point for point in folder.curves.get(row["number"], []) if point.get(metric) is not None]
    return ([point["fraction"] for point in points], [point[metric] for point in points]) if points else None


def _ended(folder: SweepFolder, status: str) -> list[Layer]:
    found = [(row, curve) for row in folder.select("search", status) if (curve := _curve(folder, row))]
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


def _best(folder: SweepFolder) -> list[Layer]:
    layers: list[Layer] = []
    for row in folder.rank(folder.select("search"))[:1]:
        curve = _curve(folder, row)
        if curve:
            name = f"best of the search: {row['arm']}"
            colour = arms.choose_arm_colours(folder).get(row["arm"], "blue")
            layers.append(Lines(name=name, lines=[curve], colour=colour, width=2.4))
            layers.append(Points(x=curve[0], y=curve[1], colour=colour, size=4))
    return layers


GROUPS = {
    "search, completed": ("search", "completed"),
    "search, pruned": ("search", "pruned"),
    "search, failed": ("search", "failed"),
    "presets": ("baseline", None),
    "confirmed": ("confirm", None),
}


def build_compute(folder: SweepFolder) -> Chart | None:
    """Training and evaluation FLOPs of each group; None where nothing was spent."""
    rows = {name: found for name, which in GROUPS.items() if (found := folder.select(*which))}
    if not rows:
        return None
    spent = {
        column: [sum(row[column] or 0 for row in found) for found in rows.values()]
        for column in ("train_flops", "eval_flops")
    }
    names = [f"{name}\nn = {len(found)}" for name, found in rows.items()]
    layers = []
    for column, word, colour in (("train_flops", "training", "blue"), ("eval_flops", "evaluation", "sky")):
        start = (
            [0.0] * len(names)
            if column == "train_flops"
            else [value / 1e12 for value in spent["train_flops"]]
        )
        notes = [f"{name}: {flops(value)} of {word}" for name, value in zip(rows, spent[column])]
        layers.append(Bars(name=word, at=list(range(len(names))), start=start, notes=notes, colour=colour,
                           length=[value / 1e12 for value in spent[column]]))  # fmt: skip
    return Chart(
        title=f"Where compute went, {folder.metadata.task}",
        caption="FLOPs by what they were spent on; n counts runs. Pruned and failed ones up to their last report.",
        panels=[Panel(x=Axis(label="TFLOPs", low=0), y=Axis(label="", names=names), layers=layers)],
        height=1.4 + 0.55 * len(names),
    )
