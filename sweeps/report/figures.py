"""The figures of a report, by file name. A new one is a module in `charts/` and a line in `FIGURES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from hrm.files import write_atomically
from sweeps.report.charts import (
    best_so_far,
    compute,
    confirmed,
    effects,
    front,
    learning_curves,
    parallel,
    pareto,
    shape,
    width_depth,
)
from sweeps.report.charts.chart import Chart
from sweeps.report.folder import Folder

FIGURES: dict[str, Callable[[Folder], Chart | None]] = {
    "confirmed": confirmed.chart,
    "front": front.chart,
    "shape": shape.chart,
    "pareto_params": pareto.by_params,
    "pareto_flops": pareto.by_flops,
    "width_depth": width_depth.chart,
    "main_effects": effects.main_effects,
    "importance": effects.importance,
    "parallel": parallel.chart,
    "learning_curves": learning_curves.chart,
    "best_so_far": best_so_far.chart,
    "compute": compute.chart,
}
"""Name to what says the figure; None where the sweep has nothing to show there."""


def charts(folder: Folder) -> dict[str, Chart]:
    """Every figure that the sweep has data for."""
    found = {name: chart(folder) for name, chart in FIGURES.items()}
    return {name: chart for name, chart in found.items() if chart is not None}


def write(drawn: Mapping[str, Chart], out: Path) -> None:
    """Draws the charts into `out`, as PNG and SVG."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    from sweeps.report.charts import drawing

    out.mkdir(exist_ok=True)
    # The same table gives the same bytes: ids by content, no date.
    with matplotlib.rc_context({"svg.hashsalt": "hrm-sweeps", "svg.fonttype": "none"}):
        for name, chart in drawn.items():
            figure = drawing.figure(chart)
            # Each canvas draws once; `savefig` would draw twice, the first time to lay out.
            png = partial(FigureCanvasAgg(figure).print_png, pil_kwargs={"compress_level": 3})
            write_atomically(out / f"{name}.png", png)
            figure.set_layout_engine("none")
            svg = partial(FigureCanvasSVG(figure).print_svg, metadata={"Date": None})
            write_atomically(out / f"{name}.svg", svg)
