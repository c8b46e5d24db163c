"""The figures of a report. A new one is a module with a `draw` and a line in `FIGURES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from sweeps.report import best_so_far_figure, confirmed_figure, curves_figure, shape_figure
from sweeps.report.folder import Folder
from sweeps.report.style import DPI
from sweeps.results.files import write_atomically


@dataclass(frozen=True)
class Drawn:
    file: str
    caption: str

    @property
    def name(self) -> str:
        return self.file.removesuffix(".png").replace("_", " ")


FIGURES: dict[str, Callable[[Folder], tuple[Figure, str] | None]] = {
    "shape.png": shape_figure.draw,
    "confirmed.png": confirmed_figure.draw,
    "learning_curves.png": curves_figure.draw,
    "best_so_far.png": best_so_far_figure.draw,
}
"""File to a function that draws it and gives its caption; None where the sweep has nothing to show there."""


def write(folder: Folder, out: Path) -> list[Drawn]:
    """Draws every figure that the sweep has data for into `out`."""
    out.mkdir(exist_ok=True)
    drawn = []
    for file, draw in FIGURES.items():
        result = draw(folder)
        if result is not None:
            figure, caption = result
            write_atomically(out / file, partial(figure.savefig, dpi=DPI, format="png"))
            drawn.append(Drawn(file, caption))
    return drawn
