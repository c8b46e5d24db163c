"""Layers and labels that several figures share: trials, presets, confirmed arms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sweeps.analysis.comparison import Arm
from sweeps.analysis.statistics import Estimate
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.charts.chart import ARM_COLOURS, Axis, Layer, Mark, Points
from sweeps.report.format import format_count, format_estimate, format_score, format_values
from sweeps.results.schema import PARAMETER_PREFIX, Row, get_metric_unit

PRESET_MARKERS: tuple[Mark, ...] = ("diamond", "triangle", "down", "square", "circle")
_SPLITS = {"valid": "validation", "test": "test", "train": "training"}


def build_metric_axis(metric: str) -> Axis:
    """Return the axis of a metric, with words for its name, split and unit."""
    return Axis(label=format_metric(metric))


def format_metric(metric: str) -> str:
    """Return `valid/blank_accuracy_auc` in words, with its unit."""
    split, _, name = metric.partition("/")
    over_curve = name.endswith("_auc")
    name = name.removesuffix("_auc")
    words = name.replace("_", " ").replace("q halt", "Q-halt")
    note = "mean over the run" if over_curve else get_metric_unit(name)
    return f"{words}, {_SPLITS.get(split, split)}" + (f" ({note})" if note else "")


def choose_preset_markers(folder: SweepFolder) -> dict[str, Mark]:
    """Return a mark of its own for every preset that was trained."""
    names = dict.fromkeys(row["arm"] for row in folder.select("baseline"))
    return {name: PRESET_MARKERS[i % len(PRESET_MARKERS)] for i, name in enumerate(names)}


def choose_arm_colours(folder: SweepFolder) -> dict[str, str]:
    """Return a colour of its own for every finalist, by name, and black for the baselines."""
    return {
        arm.name: "ink" if arm.is_baseline else ARM_COLOURS[i % len(ARM_COLOURS)]
        for i, arm in enumerate(folder.comparisons.arms)
    }


def describe_trial(folder: SweepFolder, row: Row) -> str:
    """Return a trial's tooltip."""
    score = format_score(row["objective"])
    if row["status"] != "completed":
        return f"{row['arm']}, {row['status']}: {score}"
    values = format_values({name: row[PARAMETER_PREFIX + name] for name in folder.metadata.value_names})
    return f"{row['arm']}: {score}, {format_count(row['params'])} parameters, {values}"


def get_objective(row: Row) -> float:
    """Return the objective of a row that has one."""
    return float(row["objective"])


def build_trials(
    folder: SweepFolder,
    rows: Sequence[Row],
    x: Callable[[Row], float],
    y: Callable[[Row], float] = get_objective,
    **look: Any,
) -> Points:
    """Return trials as marks with tooltips.

    Args:
        folder: of the sweep.
        rows: its trials.
        x: from a row to its place.
        y: likewise.
        look: further fields of `Points`.
    """
    return Points(
        x=[x(row) for row in rows],
        y=[y(row) for row in rows],
        tooltips=[describe_trial(folder, row) for row in rows],
        **look,
    )


def build_presets(
    folder: SweepFolder,
    x: Callable[[Row], float],
    y: Callable[[Row], float] = get_objective,
    legend: str = "{name}, one seed each",
    best_only: bool = False,
    **look: Any,
) -> list[Layer]:
    """Return the presets' runs, a layer each; `legend` may name a preset's `{name}` and number of runs `{n}`."""
    layers: list[Layer] = []
    baselines = folder.rank(folder.select("baseline"))
    for name, mark in choose_preset_markers(folder).items():
        rows = [row for row in baselines if row["arm"] == name][: 1 if best_only else None]
        if rows:
            text = legend.format(name=name, n=len(rows))
            layers.append(
                build_trials(folder, rows, x, y, name=text, mark=mark, colour="ink", hollow=True, **look)
            )
    return layers


def build_confirmed(folder: SweepFolder, x: Callable[[Arm], float]) -> list[Layer]:
    """Return the arms' means of the objective with their intervals, a layer each."""
    marks, colours, layers = choose_preset_markers(folder), choose_arm_colours(folder), list[Layer]()
    for arm in folder.comparisons.arms:
        if (mean := folder.estimate(arm, "objective")) is not None:
            look: dict[str, Any] = {"mark": marks.get(arm.name, "square"), "colour": colours[arm.name]}
            name, error = f"{arm.name} confirmed, n = {mean.n}", list_half_width(mean)
            layers.append(
                Points(name=name, x=[x(arm)], y=[mean.mean], y_error=error, hollow=True, size=10, **look)
            )
    return layers


def build_interval(arm: Arm, mean: Estimate, line: float, **look: Any) -> Points:
    """Return an arm's mean with its interval on a line of the panel, with a tooltip."""
    tooltip = f"{arm.name}: {format_estimate(mean)}"
    return Points(x=[mean.mean], y=[line], x_error=list_half_width(mean), size=7, tooltips=[tooltip], **look)


def list_half_width(mean: Estimate) -> list[float]:
    """Return half of an interval as `Points` takes it: empty for a single run."""
    return [] if mean.half_width is None else [mean.half_width]
