"""What the search had found for the compute it had spent."""

from __future__ import annotations

from sweeps.report import style
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Mark, Panel, Points, Rule
from sweeps.report.folder import Folder
from sweeps.report.numbers import score

MARKS: dict[str, Mark] = {"completed": "circle", "pruned": "cross", "failed": "down"}


def chart(folder: Folder) -> Chart | None:
    """Best objective against training FLOPs, in the order of starting; None without a completed trial."""
    goal = folder.context.goal
    best: float | None = None
    spent = 0
    steps: list[tuple[float, float]] = []
    dots: dict[str, list[tuple[float, float, str]]] = {}
    for row in folder.of("search"):
        spent += row["train_flops"] or 0
        value = row["objective"]
        if value is None:
            continue
        told = f"{row['arm']}, {row['status']}: {score(value)}"
        dots.setdefault(row["status"], []).append((spent / 1e12, value, told))
        if row["status"] == "completed" and (best is None or goal.best_first(value) < goal.best_first(best)):
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
    for row in folder.ranked(folder.of("baseline"))[:1]:
        layers.append(Rule(name=f"{row['arm']} at its best", y=row["objective"]))
    x = Axis(label="training FLOPs of the search so far (TFLOPs)")
    return Chart(
        title=f"The search, {folder.context.task}, one seed a trial",
        caption="Best so far against compute; pruned and failed trials stand at their last value.",
        panels=[Panel(x=x, y=Axis(label=style.metric_label(folder.context.objective)), layers=layers)],
    )
