"""A chart drawn by matplotlib, for PNG and SVG files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from sweeps.report.charts import style
from sweeps.report.charts.chart import Axis, Bars, Chart, Lines, Panel, Points, Rule, Scale

MAX_COLUMNS = 4
_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle": "^",
    "down": "v",
    "cross": "x",
}


def figure(chart: Chart) -> Figure:
    """The chart on white; it never touches pyplot's global state."""
    drawn = Figure(figsize=(chart.wide, chart.height), dpi=style.DPI, layout="constrained")
    columns = min(len(chart.panels), MAX_COLUMNS)
    rows = -(-len(chart.panels) // columns)
    grid = drawn.subplots(rows, columns, sharey=chart.same_y, squeeze=False)
    axes = [place for row in grid for place in row]
    for spare in axes[len(chart.panels) :]:
        spare.set_visible(False)
    shades = _shades(chart.scale) if chart.scale else None
    for i, (place, panel) in enumerate(zip(axes, chart.panels)):
        _draw_panel(place, panel, shades)
        if chart.same_y and i % columns:
            place.set_ylabel("")
    axes[0].set_title(chart.title, loc="left", fontsize=10.5, color=style.COLOURS["ink"])
    if chart.scale and shades:
        drawn.colorbar(shades, ax=axes, label=chart.scale.label, pad=0.02, aspect=30)
    _legend(drawn, axes[0])
    return drawn


def _shades(scale: Scale) -> ScalarMappable:
    high = scale.high if scale.high > scale.low else scale.low + (abs(scale.low) or 1) * 0.01
    return ScalarMappable((LogNorm if scale.log else Normalize)(scale.low, high), style.COLOUR_MAP)


def _draw_panel(place: Axes, panel: Panel, shades: ScalarMappable | None) -> None:
    for layer in panel.layers:
        if isinstance(layer, Points):
            _draw_points(place, layer, shades)
        elif isinstance(layer, Lines):
            _draw_lines(place, layer, shades)
        elif isinstance(layer, Bars):
            place.barh(layer.at, layer.length, layer.height, layer.start,
                       color=style.COLOURS[layer.colour], label=layer.name or None)  # fmt: skip
        elif isinstance(layer, Rule):
            look: dict[str, Any] = {"color": style.COLOURS[layer.colour], "linestyle": "--", "linewidth": 1}
            place.axhline(layer.y, label=layer.name or None, **look)
    _quiet(place)
    _set_axis(place, panel.x, "x")
    _set_axis(place, panel.y, "y")


def _draw_points(place: Axes, points: Points, shades: ScalarMappable | None) -> None:
    colour = style.COLOURS[points.colour]
    look: dict[str, Any] = {
        "marker": _MARKERS[points.mark],
        "markersize": points.size,
        "markeredgewidth": 1.4 if points.hollow or points.mark == "cross" else 0.5,
        "linestyle": "none",
        "label": points.name or None,
        "zorder": 3,
    }
    if points.shades:
        assert shades is not None
        colours = shades.to_rgba(np.asarray(points.shades))
        edge = "none" if points.mark != "cross" else None
        place.scatter(points.x, points.y, c=colours, s=points.size**2, marker=_MARKERS[points.mark],
                      edgecolors=edge, label=points.name or None, zorder=3)  # fmt: skip
    elif points.x_error or points.y_error:
        place.errorbar(points.x, points.y, yerr=points.y_error or None, xerr=points.x_error or None,
                       ecolor=colour, color=colour, capsize=4, elinewidth=1.6,
                       markerfacecolor="none" if points.hollow else colour, **look)  # fmt: skip
    else:
        edge = colour if points.hollow or points.mark == "cross" else "white"
        place.plot(points.x, points.y, color=colour, markeredgecolor=edge,
                   markerfacecolor="none" if points.hollow else colour, **look)  # fmt: skip


def _draw_lines(place: Axes, lines: Lines, shades: ScalarMappable | None) -> None:
    look: dict[str, Any] = {"colors": style.COLOURS[lines.colour], "linewidths": lines.width}
    if lines.shades:
        assert shades is not None
        look["colors"] = shades.to_rgba(np.asarray(lines.shades))
    drawn = [_stepped(x, y) if lines.steps else list(zip(x, y)) for x, y in lines.lines]
    collection = LineCollection(
        drawn, linestyles="--" if lines.dashed else "-", label=lines.name or None, **look
    )
    place.add_collection(collection)
    place.autoscale_view()


def _stepped(x: Any, y: Any) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for i, (a, b) in enumerate(zip(x, y)):
        if i:
            points.append((a, y[i - 1]))
        points.append((a, b))
    return points


def _set_axis(place: Axes, axis: Axis, side: str) -> None:
    label: Callable[..., Any] = getattr(place, f"set_{side}label")
    label(axis.label, fontsize=10)
    own = getattr(place, f"{side}axis")
    if axis.log:
        getattr(place, f"set_{side}scale")("log")
        own.set_minor_formatter(NullFormatter())
    if axis.names:
        getattr(place, f"set_{side}ticks")(range(len(axis.names)), axis.names)
        margin = (-0.6, len(axis.names) - 0.4)
        getattr(place, f"set_{side}lim")(*(margin if side == "x" else margin[::-1]))
        place.grid(axis=side, visible=False)  # type: ignore[arg-type]
        if side == "y":
            place.grid(axis="x", color=style.COLOURS["light"], linewidth=0.6)
    elif axis.ticks:
        getattr(place, f"set_{side}ticks")(axis.ticks, [f"{tick:.2g}" for tick in axis.ticks])
        own.set_minor_locator(NullLocator())
    elif axis.whole:
        own.set_major_locator(MaxNLocator(integer=True))
        own.set_major_formatter(ScalarFormatter())
        own.set_minor_locator(NullLocator())
    if axis.low is not None or axis.high is not None:
        getattr(place, f"set_{side}lim")(axis.low, axis.high)


def _quiet(place: Axes) -> None:
    """Leaves of the frame what carries numbers."""
    for side in ("top", "right"):
        place.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        place.spines[side].set_color(style.COLOURS["grey"])
    place.tick_params(colors=style.COLOURS["ink"], labelsize=9)
    place.grid(axis="y", color=style.COLOURS["light"], linewidth=0.6)
    place.set_axisbelow(True)


def _legend(drawn: Figure, place: Axes) -> None:
    """Outside of the panels, for figures with data in every corner."""
    handles, labels = place.get_legend_handles_labels()
    if handles:
        drawn.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8.5, frameon=False)
