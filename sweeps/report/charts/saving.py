"""A chart's files for papers: PNG and SVG. Light to import, for the processes that do nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hrm.system.files import write_atomically
from sweeps.report.charts.chart import Chart


def save(chart: Chart, name: str, out: Path) -> None:
    """Draws the chart as `name.png` and `name.svg` into the folder `out`."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    from sweeps.report.charts import drawing

    # The same table gives the same bytes: ids by content, no date.
    with matplotlib.rc_context({"svg.hashsalt": "hrm-sweeps", "svg.fonttype": "none"}):
        figure = drawing.figure(chart)
        # Each canvas draws once; `savefig` would draw twice, the first time to lay out.
        png = partial(FigureCanvasAgg(figure).print_png, pil_kwargs={"compress_level": 3})
        write_atomically(out / f"{name}.png", png)
        figure.set_layout_engine("none")
        svg = partial(FigureCanvasSVG(figure).print_svg, metadata={"Date": None})
        write_atomically(out / f"{name}.svg", svg)
