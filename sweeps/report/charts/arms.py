"""How arms look: the same one alike in every figure."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.report import style, wording
from sweeps.report.charts.chart import Layer, Mark, Points
from sweeps.report.folder import Folder
from sweeps.verdict.arms import Arm

PRESET_MARKS: tuple[Mark, ...] = ("diamond", "triangle", "down", "square", "circle")


def preset_marks(folder: Folder) -> dict[str, Mark]:
    """A mark of its own for every preset that was trained."""
    names = dict.fromkeys(row["arm"] for row in folder.of("baseline"))
    return {name: PRESET_MARKS[i % len(PRESET_MARKS)] for i, name in enumerate(names)}


def colours(folder: Folder) -> dict[str, str]:
    """Of every confirmed arm by its name: a colour of its own, black for what finalists are held against."""
    return {
        arm.name: "ink" if arm.is_baseline else style.ARM_COLOURS[i % len(style.ARM_COLOURS)]
        for i, arm in enumerate(folder.comparisons.arms)
    }


def confirmed(folder: Folder, place: Callable[[Arm], float]) -> list[Layer]:
    """The arms' means of the objective with their intervals, each where `place` says on the x axis."""
    marks, own, layers = preset_marks(folder), colours(folder), list[Layer]()
    for arm in folder.comparisons.arms:
        mean = wording.confirmed(folder, arm, "objective")
        if mean is not None:
            layers.append(Points(
                name=f"{arm.name} confirmed, n = {mean.n}", x=[place(arm)], y=[mean.mean],
                y_error=[] if mean.half_width is None else [mean.half_width],
                mark=marks.get(arm.name, "square"), colour=own[arm.name], hollow=True, size=10,
            ))  # fmt: skip
    return layers
