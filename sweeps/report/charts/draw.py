"""Drawing a chart by matplotlib, as PNG and SVG."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from hrm.system.files import write_atomically
from sweeps.report.charts.chart import (
    COLOURS,
    DPI,
    Axis,
    Bars,
    Chart,
    ColourScale,
    HorizontalLine,
    Lines,
    Panel,
    Points,
)

MAX_COLUMNS = 4
COLOUR_MAP = "viridis"
_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^", "down": "v", "cross": "x"}


def write_files(chart: Chart, name: str, out: Path) -> None:
    """Draw the chart as `name.png` and `name.svg` into the folder `out`."""
    # Ids by content and no date: the same table gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "hrm-sweeps", "svg.fonttype": "none"}):
        figure = draw_figure(chart)
        # Each canvas draws once; `savefig` would draw twice, the first time to lay out.
        png = partial(FigureCanvasAgg(figure).print_png, pil_kwargs={"compress_level": 3})
        write_atomically(out / f"{name}.png", png)
        figure.set_layout_engine("none")
        svg = partial(FigureCanvasSVG(figure).print_svg, metadata={"Date": None})
        write_atomically(out / f"{name}.svg", svg)


def draw_figure(chart: Chart) -> Figure:
    """Draw the chart on white, without pyplot and its global state."""
    figure = Figure(figsize=(chart.width, chart.height), dpi=DPI, layout="constrained")
    columns = min(len(chart.panels), MAX_COLUMNS)
    rows = -(-len(chart.panels) // columns)
    axes = list(figure.subplots(rows, columns, sharey=chart.same_y, squeeze=False).flat)
    for spare in axes[len(chart.panels) :]:
        spare.set_visible(False)
    shades = _build_shades(chart.scale) if chart.scale else None
    for i, (ax, panel) in enumerate(zip(axes, chart.panels)):
        _draw_panel(ax, panel, shades)
        if chart.same_y and i % columns:
            ax.set_ylabel("")
    axes[0].set_title(chart.title, loc="left", fontsize=10.5, color=COLOURS["ink"])
    if chart.scale and shades:
        figure.colorbar(shades, ax=axes, label=chart.scale.label, pad=0.02, aspect=30)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:  # outside of the panels, because there may be data in every corner
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8.5, frameon=False)
    return figure


def _build_shades(scale: ColourScale) -> ScalarMappable:
    high = scale.high if scale.high > scale.low else scale.low + (abs(scale.low) or 1) * 0.01
    return ScalarMappable((LogNorm if scale.log else Normalize)(scale.low, high), COLOUR_MAP)


def _draw_panel(ax: Axes, panel: Panel, shades: ScalarMappable | None) -> None:
    for layer in panel.layers:
        colour, label = COLOURS[layer.colour], layer.name or None
        if isinstance(layer, Points):
            _draw_points(ax, layer, shades)
        elif isinstance(layer, Lines):
            _draw_lines(ax, layer, shades)
        elif isinstance(layer, Bars):
            ax.barh(layer.at, layer.length, layer.height, layer.start, color=colour, label=label)
        elif isinstance(layer, HorizontalLine):
            ax.axhline(layer.y, label=label, color=colour, linestyle="--", linewidth=1)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(COLOURS["grey"])
    ax.tick_params(colors=COLOURS["ink"], labelsize=9)
    ax.grid(axis="y", color=COLOURS["light"], linewidth=0.6)
    ax.set_axisbelow(True)
    _set_axis(ax, panel.x, "x")
    _set_axis(ax, panel.y, "y")


def _draw_points(ax: Axes, points: Points, shades: ScalarMappable | None) -> None:
    colour, marker = COLOURS[points.colour], _MARKERS[points.mark]
    open_mark = points.hollow or points.mark == "cross"
    look: dict[str, Any] = {"label": points.name or None, "zorder": 3}
    if points.shades:
        assert shades is not None
        edge = None if points.mark == "cross" else "none"
        area, colours = points.size**2, shades.to_rgba(np.asarray(points.shades))
        ax.scatter(points.x, points.y, c=colours, s=area, marker=marker, edgecolors=edge, **look)
        return
    look |= {"marker": marker, "markersize": points.size, "markeredgewidth": 1.4 if open_mark else 0.5}
    look |= {"linestyle": "none", "color": colour, "markerfacecolor": "none" if points.hollow else colour}
    if points.x_error or points.y_error:
        errors: dict[str, Any] = {"xerr": points.x_error or None, "yerr": points.y_error or None}
        ax.errorbar(points.x, points.y, **errors, ecolor=colour, capsize=4, elinewidth=1.6, **look)
    else:
        ax.plot(points.x, points.y, markeredgecolor=colour if open_mark else "white", **look)


def _draw_lines(ax: Axes, lines: Lines, shades: ScalarMappable | None) -> None:
    colours: Any = COLOURS[lines.colour]
    if lines.shades:
        assert shades is not None
        colours = shades.to_rgba(np.asarray(lines.shades))
    paths = [_expand_steps(x, y) if lines.steps else list(zip(x, y)) for x, y in lines.lines]
    look: dict[str, Any] = {"linewidths": lines.width, "linestyles": "--" if lines.dashed else "-"}
    ax.add_collection(LineCollection(paths, colors=colours, label=lines.name or None, **look))
    ax.autoscale_view()


def _expand_steps(x: Any, y: Any) -> list[tuple[float, float]]:
    corners = [point for i in range(1, len(x)) for point in ((x[i], y[i - 1]), (x[i], y[i]))]
    return [(x[0], y[0]), *corners]


def _set_axis(ax: Axes, axis: Axis, side: str) -> None:
    drawn = getattr(ax, f"{side}axis")
    set_limits = getattr(ax, f"set_{side}lim")
    drawn.set_label_text(axis.label, fontsize=10)
    if axis.log:
        getattr(ax, f"set_{side}scale")("log")
        drawn.set_minor_formatter(NullFormatter())
    if axis.names:
        drawn.set_ticks(range(len(axis.names)), axis.names)
        margin = (-0.6, len(axis.names) - 0.4)
        set_limits(*(margin if side == "x" else margin[::-1]))
        drawn.grid(visible=False)
        if side == "y":
            ax.grid(axis="x", color=COLOURS["light"], linewidth=0.6)
    elif axis.ticks:
        drawn.set_ticks(axis.ticks, [f"{tick:.2g}" for tick in axis.ticks])
        drawn.set_minor_locator(NullLocator())
    elif axis.whole:
        drawn.set_major_locator(MaxNLocator(integer=True))
        drawn.set_major_formatter(ScalarFormatter())
        drawn.set_minor_locator(NullLocator())
    if axis.low is not None or axis.high is not None:
        set_limits(axis.low, axis.high)
