"""Power laws against one axis: the sweeps, the fitted law, and its extrapolation beyond the largest sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sweeps.analysis.scaling import ERROR, PARAMETERS, TRAINING_FLOPS, ScalingFit, ScalingPoint
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Panel, Points
from sweeps.report.format import format_prediction

STEPS = 40
"""Points of a curve."""
_UNITS = {PARAMETERS: ("parameters (millions)", 1e6), TRAINING_FLOPS: ("training of one run (GFLOPs)", 1e9)}
_MAX_TICKS = 7


def build_scaling(
    points: Sequence[ScalingPoint], fits: Sequence[ScalingFit], presets: Mapping[str, int]
) -> Chart | None:
    """Build a panel for each quantity that was fitted against this axis; None without any.

    Args:
        points: the sweeps.
        fits: against one axis.
        presets: to which to extrapolate over parameters, by name; their parameters.
    """
    fitted = [fit for fit in fits if fit.law is not None]
    if not fitted:
        return None
    axis = fitted[0].axis
    return Chart(
        title=f"The best configurations of {len(points)} sweeps against {axis}",
        caption=f"Best confirmed configuration of each sweep against {axis}: open dots are single seeds, filled ones "
        "the best configurations. The line is the fitted power law; dashed lines bound where a further sweep is "
        "expected in 95 of 100 cases. Beyond the largest sweep both are extrapolation.",
        panels=[_build_panel(points, fit, presets) for fit in fitted],
        same_y=False,
        width=max(7.2, 3.7 * len(fitted)),
        height=4.6,
    )


def _build_panel(points: Sequence[ScalingPoint], fit: ScalingFit, presets: Mapping[str, int]) -> Panel:
    x_label, unit = _UNITS[fit.axis]
    low, high = fit.x.min(), fit.x.max()
    layers: list[Layer] = _build_curve(fit, low, high, "power law", "its 95% interval", "blue")
    if presets and fit.axis == PARAMETERS and fit.may_extrapolate:
        end = max(presets.values())
        layers += _build_curve(fit, high, end, "extrapolation", "its 95% interval, extrapolated", "orange")
        predicted = {name: fit.predict(params) for name, params in presets.items()}
        layers.append(
            Points(
                name="presets' sizes, extrapolated",
                x=[params / unit for params in presets.values()],
                y=[found.middle for found in predicted.values()],
                mark="diamond",
                colour="orange",
                tooltips=[f"{name}: {format_prediction(found)}" for name, found in predicted.items()],
            )
        )
    if fit.quantity == ERROR:
        seeds = [
            (point.best.axes[fit.axis] / unit, error)
            for point in points
            for error in point.best.errors
            if error > 0
        ]
        x, y = ([seed[side] for seed in seeds] for side in (0, 1))
        layers.append(Points(name="single seeds", x=x, y=y, colour="vermilion", hollow=True, size=4))
    x, y = list(fit.x / unit), list(fit.y)
    layers.append(Points(name="best configuration of a sweep", x=x, y=y, colour="vermilion", size=7))
    y_label = points[0].error_name if fit.quantity == ERROR else fit.quantity
    return Panel(x=_build_axis(x_label, layers, 0), y=_build_axis(y_label, layers, 1), layers=layers)


def _build_axis(label: str, layers: Iterable[Layer], side: int) -> Axis:
    """Build a logarithmic axis, marked at 1, 2, 5, 10, ... or, where these are too many, at powers of ten."""
    shown: list[float] = []
    for layer in layers:
        if isinstance(layer, Points):
            shown += (layer.x, layer.y)[side]
        elif isinstance(layer, Lines):
            shown += [value for line in layer.lines for value in line[side]]
    low, high = min(shown), max(shown)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    if len(ticks) > _MAX_TICKS:
        ticks = [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    return Axis(label=label, log=True, ticks=ticks if len(ticks) > 1 else ())


def _build_curve(
    fit: ScalingFit, low: float, high: float, name: str, bounds: str, colour: str
) -> list[Layer]:
    unit = _UNITS[fit.axis][1]
    values = np.geomspace(low, high, STEPS)
    found = [fit.predict(value) for value in values]
    x = [float(value) / unit for value in values]
    edges = [(x, [one.low for one in found]), (x, [one.high for one in found])]
    return [
        Lines(name=name, lines=[(x, [one.middle for one in found])], colour=colour, width=2),
        Lines(name=bounds, lines=edges, colour=colour, dashed=True),
    ]
