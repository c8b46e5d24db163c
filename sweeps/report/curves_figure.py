"""Learning curves of the search and the baselines; where a trial was pruned, or failed, is marked."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeps.report import style
from sweeps.report.folder import Folder, Row

MARKERS = {"pruned": "x", "failed": "v"}
"""Where a curve ends before its time."""
MARK_NAMES = {"pruned": " (×)", "failed": " (▼)"}


def draw(folder: Folder) -> tuple[Figure, str] | None:
    """The objective's metric at each report; None where no report holds one."""
    metric = folder.context.goal.metric
    figure = style.figure()
    axes = figure.subplots()
    shown: set[str] = set()
    for row in sorted(folder.of("search") + folder.of("baseline"), key=_importance):
        curve = [point for point in folder.curves.get(row["number"], []) if point.get(metric) is not None]
        if curve:
            _draw_curve(axes, row, curve, metric, shown)
    if not shown:
        return None
    _emphasise_best(axes, folder, metric)
    axes.set_xlabel("training compute spent (share of a full run)")
    axes.set_ylabel(style.metric_label(metric))
    axes.set_xlim(0, 1.02)
    style.quiet(axes)
    style.legend(axes)
    style.title(axes, f"Learning curves, {folder.context.task}, one seed a line")
    return (
        figure,
        "Learning curves; crosses mark where trials were pruned, triangles the last report of failed ones.",
    )


def _importance(row: Row) -> int:
    """What is drawn later lies on top."""
    return ["pruned", "failed", "completed"].index(row["status"]) + 3 * (row["kind"] == "baseline")


def _draw_curve(axes: Axes, row: Row, curve: Sequence[Row], metric: str, shown: set[str]) -> None:
    x, y = [point["fraction"] for point in curve], [point[metric] for point in curve]
    if row["kind"] == "baseline":
        name, colour, width = "preset", style.INK, 1.3
    else:
        name = f"search, {row['status']}{MARK_NAMES.get(row['status'], '')}"
        colour = {"completed": style.SKY, "pruned": style.ORANGE, "failed": style.VERMILION}[row["status"]]
        width = 1.0
    line = "--" if row["kind"] == "baseline" else "-"
    axes.plot(x, y, line, color=colour, linewidth=width, label=None if name in shown else name)
    shown.add(name)
    marker = MARKERS.get(row["status"])
    if marker:
        axes.plot(x[-1], y[-1], marker, color=colour, ms=6, mew=1.8)


def _emphasise_best(axes: Axes, folder: Folder, metric: str) -> None:
    for row in folder.ranked(folder.of("search"))[:1]:
        curve = [point for point in folder.curves.get(row["number"], []) if point.get(metric) is not None]
        x, y = [point["fraction"] for point in curve], [point[metric] for point in curve]
        label = f"best of the search: {row['arm']}"
        axes.plot(x, y, "-o", color=style.BLUE, linewidth=2.4, ms=3.5, label=label)
