"""Means with intervals: the confirmed arms of one sweep, the best configuration and preset of several."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.charts.chart import Axis, Chart, Layer, Panel, Points
from sweeps.report.charts.layers import build_interval, build_metric_axis, choose_arm_colours, format_metric
from sweeps.report.format import format_count


def build_confirmed(folder: SweepFolder) -> Chart | None:
    """Build a panel per metric with a line per arm; None if nothing was confirmed."""
    found = folder.comparisons
    metrics = [metric for metric in found.metrics if any(arm.get_scores(metric) for arm in found.arms)]
    if not metrics:
        return None
    names = [f"{arm.name}\n{arm.params:,}" for arm in found.arms]
    return Chart(
        title=f"Confirmed on fresh seeds, {folder.metadata.task}",
        caption="Confirmed arms and their parameters: open dots are single seeds, squares with bars are means with "
        "95% intervals.",
        panels=[_build_panel(folder, metric, names) for metric in metrics],
        height=1.7 + 0.55 * len(names),
        width=3.6 * len(metrics) + 1.6,
    )


def _build_panel(folder: SweepFolder, metric: str, names: list[str]) -> Panel:
    colours, layers = choose_arm_colours(folder), list[Layer]()
    for line, arm in enumerate(folder.comparisons.arms):
        if (mean := folder.estimate(arm, metric)) is not None:
            scores, colour = arm.get_scores(metric), colours[arm.name]
            layers.append(Points(x=scores, y=[line + 0.24] * mean.n, colour=colour, size=4.5, hollow=True))
            layers.append(build_interval(arm, mean, line, colour=colour, mark="square"))
    return Panel(x=build_metric_axis(metric), y=Axis(label="", names=names), layers=layers)


def name_sweep(index: int, folder: SweepFolder) -> str:
    """Return a sweep's name among several: its place in the command and its space."""
    return f"{index + 1}. {folder.metadata.name}"


def build_side_by_side(folders: Sequence[SweepFolder]) -> Chart | None:
    """Build mean and interval of each sweep's best configuration and preset; None without a common metric."""
    metrics = {folder.comparisons.metrics[0] for folder in folders}
    data = {folder.metadata.data_fingerprint for folder in folders}
    if len(metrics) > 1 or len(data) > 1 or not any(folder.comparisons.arms for folder in folders):
        return None
    metric = metrics.pop()
    names, layers = [], list[Layer]()
    for i, folder in enumerate(folders):
        found, budget = folder.comparisons, folder.metadata.max_params
        names.append(f"{name_sweep(i, folder)}\n{'no limit' if budget is None else format_count(budget)}")
        for arm, shift, legend, colour, mark in (
            (found.best_finalist, -0.14, "best configuration", "vermilion", "square"),
            (found.best_preset, 0.14, "best preset", "ink", "diamond"),
        ):
            if arm is not None and (mean := folder.estimate(arm, metric)) is not None:
                legend = legend if i == 0 else ""
                layers.append(build_interval(arm, mean, i + shift, name=legend, colour=colour, mark=mark))
    return Chart(
        title=f"{len(folders)} sweeps, {format_metric(metric)}",
        caption="Best configuration and best preset of each sweep with its budget in parameters: mean over fresh "
        "seeds with its 95% interval.",
        panels=[Panel(x=build_metric_axis(metric), y=Axis(label="", names=names), layers=layers)],
        height=1.6 + 0.6 * len(names),
    )
