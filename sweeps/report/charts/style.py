"""How every figure looks: a palette that colour-blind readers can tell apart, and the words on its axes."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.analysis.comparison import Arm
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report import format as wording
from sweeps.report.charts.chart import Layer, Mark, Points
from sweeps.results.schema import get_metric_unit

COLOURS = {
    "blue": "#0072B2",
    "sky": "#56B4E9",
    "orange": "#E69F00",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "ink": "#222222",
    "grey": "#8A8A8A",
    "light": "#DDDDDD",
}
"""Okabe and Ito's palette, and three greys, on a white background."""
DARK = COLOURS | {
    "blue": "#3D9BE0",
    "sky": "#A5D8F7",
    "vermilion": "#FF7A33",
    "green": "#2BC79C",
    "pink": "#E3A0C6",
    "ink": "#E7E9EC",
    "grey": "#7D8590",
    "light": "#363C45",
}
"""The same roles on a dark one."""
ARM_COLOURS = ("blue", "green", "pink", "vermilion", "orange")
"""Of finalists; those that figures use for other things come last."""
STATUS_COLOURS = {"completed": "sky", "pruned": "orange", "failed": "vermilion"}
COLOUR_MAP = "viridis"
DPI = 150


def metric_label(name: str) -> str:
    """`valid/blank_accuracy_auc` as an axis says it, with its unit."""
    split, _, metric = name.partition("/")
    over_curve = metric.endswith("_auc")
    metric = metric.removesuffix("_auc")
    unit = get_metric_unit(metric)
    words = metric.replace("_", " ").replace("q halt", "Q-halt")
    where = {"valid": "validation", "test": "test", "train": "training"}.get(split, split)
    note = "mean over the run" if over_curve else unit
    return f"{words}, {where} ({note})" if note else f"{words}, {where}"


PRESET_MARKS: tuple[Mark, ...] = ("diamond", "triangle", "down", "square", "circle")


def preset_marks(folder: SweepFolder) -> dict[str, Mark]:
    """A mark of its own for every preset that was trained."""
    names = dict.fromkeys(row["arm"] for row in folder.select("baseline"))
    return {name: PRESET_MARKS[i % len(PRESET_MARKS)] for i, name in enumerate(names)}


def choose_arm_colours(folder: SweepFolder) -> dict[str, str]:
    """Of every confirmed arm by its name: a colour of its own, black for what finalists are held against."""
    return {
        arm.name: "ink" if arm.is_baseline else ARM_COLOURS[i % len(ARM_COLOURS)]
        for i, arm in enumerate(folder.comparisons.arms)
    }


def confirmed(folder: SweepFolder, place: Callable[[Arm], float]) -> list[Layer]:
    """The arms' means of the objective with their intervals, each where `place` says on the x axis."""
    marks, own, layers = preset_marks(folder), choose_arm_colours(folder), list[Layer]()
    for arm in folder.comparisons.arms:
        mean = wording.confirmed(folder, arm, "objective")
        if mean is not None:
            layers.append(Points(
                name=f"{arm.name} confirmed, n = {mean.n}", x=[place(arm)], y=[mean.mean],
                y_error=[] if mean.half_width is None else [mean.half_width],
                mark=marks.get(arm.name, "square"), colour=own[arm.name], hollow=True, size=10,
            ))  # fmt: skip
    return layers
