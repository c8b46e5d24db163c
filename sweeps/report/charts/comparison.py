"""Finds and presets of several sweeps on one axis."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.analysis.comparison import Arm
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report import format as wording
from sweeps.report.charts import style
from sweeps.report.charts import style as arms
from sweeps.report.charts.chart import Axis, Chart, Layer, Panel, Points
from sweeps.report.format import count, format_interval


def build_confirmed(folder: SweepFolder) -> Chart | None:
    """A panel a metric, a line an arm; None when nothing was confirmed."""
    found = folder.comparisons
    metrics = [metric for metric in found.metrics if any(arm.get_scores(metric) for arm in found.arms)]
    if not metrics:
        return None
    names = [f"{arm.name}\n{arm.params:,}" for arm in found.arms]
    return Chart(
        title=f"Confirmed on fresh seeds, {folder.metadata.task}",
        caption="Confirmed arms and their parameters: open dots are single seeds, squares with bars the mean "
        "with its 95% interval.",
        panels=[_panel(folder, metric, names) for metric in metrics],
        height=1.7 + 0.55 * len(names),
        wide=3.6 * len(metrics) + 1.6,
    )


def _panel(folder: SweepFolder, metric: str, names: list[str]) -> Panel:
    layers, colours = [], arms.choose_arm_colours(folder)
    for line, arm in enumerate(folder.comparisons.arms):
        scores = arm.get_scores(metric)
        mean = wording.confirmed(folder, arm, metric)
        if mean is None:
            continue
        colour = colours[arm.name]
        told = f"{arm.name}: {format_interval(mean.mean, mean.half_width)}, n = {mean.n}"
        error = [] if mean.half_width is None else [mean.half_width]
        dots = Points(x=scores, y=[line + 0.24] * len(scores), colour=colour, size=4.5, hollow=True)
        layers += [dots, Points(x=[mean.mean], y=[line], colour=colour, mark="square", size=7,
                                x_error=error, notes=[told])]  # fmt: skip
    return Panel(x=Axis(label=style.metric_label(metric)), y=Axis(label="", names=names), layers=layers)


def name(index: int, folder: SweepFolder) -> str:
    """What the sweep is called here: its space, and its place in the command."""
    return f"{index + 1}. {folder.metadata.name}"


def build_side_by_side(folders: Sequence[SweepFolder]) -> Chart | None:
    """Mean and interval of each sweep's best find and best preset; None where they cannot share an axis."""
    metrics = {folder.comparisons.metrics[0] for folder in folders}
    data = {folder.metadata.data_fingerprint for folder in folders}
    if len(metrics) > 1 or len(data) > 1 or not any(folder.comparisons.arms for folder in folders):
        return None
    metric = metrics.pop()
    names = []
    layers: list[Layer] = []
    for i, folder in enumerate(folders):
        budget = folder.metadata.max_params
        names.append(f"{name(i, folder)}\n{'no limit' if budget is None else count(budget)}")
        layers += _marks(
            folder, folder.comparisons.best_finalist, metric, i - 0.14, "best find" if i == 0 else ""
        )
        layers += _marks(
            folder, folder.comparisons.best_preset, metric, i + 0.14, "best preset" if i == 0 else ""
        )
    return Chart(
        title=f"{len(folders)} sweeps, {style.metric_label(metric)}",
        caption="Best find and best preset of each sweep with its budget in parameters: mean over fresh seeds with "
        "its 95% interval.",
        panels=[
            Panel(x=Axis(label=style.metric_label(metric)), y=Axis(label="", names=names), layers=layers)
        ],
        height=1.6 + 0.6 * len(names),
    )


def _marks(folder: SweepFolder, arm: Arm | None, metric: str, line: float, legend: str) -> list[Layer]:
    mean = wording.confirmed(folder, arm, metric) if arm else None
    if arm is None or mean is None:
        return []
    preset = arm.is_baseline
    return [
        Points(name=legend, x=[mean.mean], y=[line], colour="ink" if preset else "vermilion", size=7,
               mark="diamond" if preset else "square", x_error=[] if mean.half_width is None else [mean.half_width],
               notes=[f"{arm.name}: {format_interval(mean.mean, mean.half_width)}, n = {mean.n}"])
    ]  # fmt: skip
