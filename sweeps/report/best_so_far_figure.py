"""What the search had found for the compute it had spent."""

from __future__ import annotations

from matplotlib.figure import Figure

from sweeps.report import style
from sweeps.report.folder import Folder

STATUS_MARKS = {
    "completed": ("o", style.SKY),
    "pruned": ("x", style.ORANGE),
    "failed": ("v", style.VERMILION),
}


def draw(folder: Folder) -> tuple[Figure, str] | None:
    """Best objective against training FLOPs, in the order of starting; None without a completed trial."""
    goal = folder.context.goal
    best: float | None = None
    spent = 0
    steps: list[tuple[float, float]] = []
    dots: dict[str, list[tuple[float, float]]] = {}
    for row in folder.of("search"):
        spent += row["train_flops"] or 0
        value = row["objective"]
        if value is None:
            continue
        dots.setdefault(row["status"], []).append((spent / 1e12, value))
        if row["status"] == "completed" and (best is None or goal.best_first(value) < goal.best_first(best)):
            best = value
        if best is not None:
            steps.append((spent / 1e12, best))
    if not steps:
        return None
    figure = style.figure()
    axes = figure.subplots()
    for status, points in dots.items():
        marker, colour = STATUS_MARKS[status]
        axes.plot(*zip(*points), marker, color=colour, ms=6, label=f"{status} trial (n = {len(points)})")
    axes.step(*zip(*steps), where="post", color=style.BLUE, linewidth=2, label="best completed so far")
    for row in folder.ranked(folder.of("baseline"))[:1]:
        label = f"{row['arm']} at its best"
        axes.axhline(row["objective"], color=style.INK, linestyle="--", linewidth=1, label=label)
    axes.set_xlabel("training FLOPs of the search so far (TFLOPs)")
    axes.set_ylabel(style.metric_label(folder.context.objective))
    style.quiet(axes)
    style.legend(axes)
    style.title(axes, f"The search, {folder.context.task}, one seed a trial")
    return figure, "Best so far against compute; pruned and failed trials stand at their last value."
