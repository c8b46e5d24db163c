"""The fits against one axis: what was found, the law through it, and beyond the largest sweep the extrapolation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.analysis.scaling import AXES, ERROR, Fit, Point
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Panel, Points

STEPS = 40
"""Points of a curve."""
_UNITS = {AXES[0]: ("parameters (millions)", 1e6), AXES[1]: ("training of one run (GFLOPs)", 1e9)}
_ROUND = (1, 2, 5)
_MAX_TICKS = 7


def chart(points: Sequence[Point], fits: Sequence[Fit], beyond: Mapping[str, int]) -> Chart | None:
    """A panel for each quantity that was fitted against this axis; None where none was.

    Args:
        points: the sweeps.
        fits: of one axis.
        beyond: presets to extrapolate to, by name; their parameters. None of them on another axis.
    """
    fitted = [fit for fit in fits if fit.law is not None]
    if not fitted:
        return None
    axis = fitted[0].axis
    return Chart(
        title=f"The best find of {len(points)} sweeps against {axis}",
        caption=f"Best confirmed find of each sweep against {axis}: open dots are single seeds, filled ones the "
        "best find. The line is the fitted power law; dashed lines bound where a further sweep is expected in "
        "95 of 100 cases. Beyond the largest sweep both are extrapolation.",
        panels=[_panel(points, fit, beyond) for fit in fitted],
        same_y=False,
        wide=max(7.2, 3.7 * len(fitted)),
        height=4.6,
    )


def _panel(points: Sequence[Point], fit: Fit, beyond: Mapping[str, int]) -> Panel:
    name_of_x, unit = _UNITS[fit.axis]
    reach = beyond if fit.axis == AXES[0] and fit.may_extrapolate else {}
    within = np.geomspace(fit.x.min(), fit.x.max(), STEPS)
    layers: list[Layer] = _curves(fit, within, unit, "power law", "its 95% interval", "blue")
    if reach:
        outside = np.geomspace(fit.x.max(), max(reach.values()), STEPS)
        layers += _curves(fit, outside, unit, "extrapolation", "its 95% interval, extrapolated", "orange")
        predicted = {name: fit.at(params) for name, params in reach.items()}
        layers.append(Points(
            name="presets' sizes, extrapolated", x=[params / unit for params in reach.values()],
            y=[found.middle for found in predicted.values()], mark="diamond", colour="orange",
            notes=[f"{name}: {found.middle:.3g} ({found.low:.3g} to {found.high:.3g}), extrapolated"
                   for name, found in predicted.items()],
        ))  # fmt: skip
    if fit.quantity == ERROR:
        seeds = [(point.best.axes[fit.axis] / unit, error) for point in points for error in point.best.errors]
        shown = [(x, error) for x, error in seeds if error > 0]
        layers.append(Points(name="single seeds", x=[x for x, _ in shown], y=[y for _, y in shown],
                             colour="vermilion", hollow=True, size=4))  # fmt: skip
    layers.append(
        Points(name="best find of a sweep", x=list(fit.x / unit), y=list(fit.y), colour="vermilion", size=7)
    )
    label = points[0].error_name if fit.quantity == ERROR else fit.quantity
    return Panel(x=_axis(name_of_x, layers, "x"), y=_axis(label, layers, "y"), layers=layers)


def _axis(label: str, layers: Sequence[Layer], side: str) -> Axis:
    """Logarithmic, marked at round numbers."""
    shown: list[float] = []
    for layer in layers:
        if isinstance(layer, Points):
            shown += layer.x if side == "x" else layer.y
        elif isinstance(layer, Lines):
            shown += [value for line in layer.lines for value in line[side == "y"]]
    low, high = min(shown), max(shown)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in (_ROUND, (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= _MAX_TICKS:
            break
    return Axis(label=label, log=True, ticks=ticks if len(ticks) > 1 else ())


def _curves(fit: Fit, x: np.ndarray, unit: float, name: str, bounds: str, colour: str) -> list[Layer]:
    found = [fit.at(value) for value in x]
    along = [float(value) / unit for value in x]
    return [
        Lines(name=name, lines=[(along, [one.middle for one in found])], colour=colour, width=2),
        Lines(name=bounds, lines=[(along, [one.low for one in found]), (along, [one.high for one in found])],
              colour=colour, dashed=True),
    ]  # fmt: skip
