"""The fits against one axis: what was found, the law through it, and beyond the largest sweep the extrapolation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Panel, Points
from sweeps.scaling.points import AXES, ERROR, Point
from sweeps.scaling.study import Fit

STEPS = 40
"""Points of a curve."""


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
    reach = {name: params for name, params in beyond.items() if fit.axis == AXES[0]}
    within = np.geomspace(fit.x.min(), fit.x.max(), STEPS)
    layers: list[Layer] = _curves(fit, within, "power law", "its 95% interval", "blue")
    if reach:
        outside = np.geomspace(fit.x.max(), max(reach.values()), STEPS)
        layers += _curves(fit, outside, "extrapolation", "its 95% interval, extrapolated", "orange")
        foretold = {name: fit.at(params) for name, params in reach.items()}
        layers.append(Points(
            name="presets' sizes, extrapolated", x=list(reach.values()),
            y=[found.middle for found in foretold.values()], mark="diamond", colour="orange",
            notes=[f"{name}: {found.middle:.3g} ({found.low:.3g} to {found.high:.3g}), extrapolated"
                   for name, found in foretold.items()],
        ))  # fmt: skip
    if fit.quantity == ERROR:
        seeds = [(point.best.axes[fit.axis], error) for point in points for error in point.best.errors]
        shown = [(x, error) for x, error in seeds if error > 0]
        layers.append(Points(name="single seeds", x=[x for x, _ in shown], y=[y for _, y in shown],
                             colour="vermilion", hollow=True, size=4))  # fmt: skip
    layers.append(
        Points(name="best find of a sweep", x=list(fit.x), y=list(fit.y), colour="vermilion", size=7)
    )
    label = points[0].error_name if fit.quantity == ERROR else fit.quantity
    return Panel(x=Axis(label=fit.axis, log=True), y=Axis(label=label, log=True), layers=layers)


def _curves(fit: Fit, x: np.ndarray, name: str, bounds: str, colour: str) -> list[Layer]:
    found = [fit.at(value) for value in x]
    along = [float(value) for value in x]
    return [
        Lines(name=name, lines=[(along, [one.middle for one in found])], colour=colour, width=2),
        Lines(name=bounds, lines=[(along, [one.low for one in found]), (along, [one.high for one in found])],
              colour=colour, dashed=True),
    ]  # fmt: skip
