"""The confirmed arms on the test split: a dot a seed, mean and interval."""

from __future__ import annotations

from sweeps.report import style, wording
from sweeps.report.charts import arms
from sweeps.report.charts.chart import Axis, Chart, Panel, Points
from sweeps.report.folder import Folder
from sweeps.report.numbers import plus_minus


def chart(folder: Folder) -> Chart | None:
    """A panel a metric, a line an arm; None when nothing was confirmed."""
    found = folder.comparisons
    metrics = [metric for metric in found.metrics if any(arm.values_of(metric) for arm in found.arms)]
    if not metrics:
        return None
    names = [f"{arm.name}\n{arm.params:,}" for arm in found.arms]
    return Chart(
        title=f"Confirmed on fresh seeds, {folder.context.task}",
        caption="Confirmed arms and their parameters: open dots are single seeds, squares with bars the mean "
        "with its 95% interval.",
        panels=[_panel(folder, metric, names) for metric in metrics],
        height=1.7 + 0.55 * len(names),
        wide=3.6 * len(metrics) + 1.6,
    )


def _panel(folder: Folder, metric: str, names: list[str]) -> Panel:
    layers, colours = [], arms.colours(folder)
    for line, arm in enumerate(folder.comparisons.arms):
        scores = arm.values_of(metric)
        mean = wording.confirmed(folder, arm, metric)
        if mean is None:
            continue
        colour = colours[arm.name]
        told = f"{arm.name}: {plus_minus(mean.mean, mean.half_width)}, n = {mean.n}"
        error = [] if mean.half_width is None else [mean.half_width]
        dots = Points(x=scores, y=[line + 0.24] * len(scores), colour=colour, size=4.5, hollow=True)
        layers += [dots, Points(x=[mean.mean], y=[line], colour=colour, mark="square", size=7,
                                x_error=error, notes=[told])]  # fmt: skip
    return Panel(x=Axis(label=style.metric_label(metric)), y=Axis(label="", names=names), layers=layers)
