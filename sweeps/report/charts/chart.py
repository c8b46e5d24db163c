"""A figure as plain data. matplotlib draws it for papers, a script draws it in the page.

Colours are named by their role in `COLOURS`, so that each of the two can choose them for its background. Imports
nothing heavy: the processes that draw import this module and matplotlib alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mark = Literal["circle", "square", "diamond", "triangle", "cross", "down"]

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
"""Okabe and Ito's palette, which colour-blind readers can tell apart, and three greys, on a white background."""
DARK_COLOURS = COLOURS | {
    "blue": "#3D9BE0",
    "sky": "#A5D8F7",
    "vermilion": "#FF7A33",
    "green": "#2BC79C",
    "pink": "#E3A0C6",
    "ink": "#E7E9EC",
    "grey": "#7D8590",
    "light": "#363C45",
}
"""The same roles on a dark background."""
ARM_COLOURS = ("blue", "green", "pink", "vermilion", "orange")
"""Finalists' colours; those that figures use for other things come last."""
STATUS_COLOURS = {"completed": "sky", "pruned": "orange", "failed": "vermilion"}
DPI = 150


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of numbers or of names."""

    label: str
    log: bool = False
    whole: bool = False
    """Whether only whole numbers are marked."""
    names: Sequence[str] = ()
    """Names at 0, 1, 2, ... of an axis of names; the first is at the left, or at the top."""
    ticks: Sequence[float] = ()
    """Values to mark; empty leaves the choice to whoever draws."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Points:
    """Marks at x, y."""

    name: str = ""
    """In the legend; empty is not listed."""
    x: Sequence[float]
    y: Sequence[float]
    colour: str = "blue"
    shades: Sequence[float] = ()
    """Values on the chart's scale that colour each mark; empty takes `colour`."""
    mark: Mark = "circle"
    size: float = 6
    """Diameter in points."""
    hollow: bool = False
    x_error: Sequence[float] = ()
    """Half of an interval; empty draws none."""
    y_error: Sequence[float] = ()
    tooltips: Sequence[str] = ()
    kind: Literal["points"] = "points"


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines that share a look, each a pair of x and y."""

    name: str = ""
    lines: Sequence[tuple[Sequence[float], Sequence[float]]]
    colour: str = "blue"
    shades: Sequence[float] = ()
    """A value on the chart's scale for each line; empty takes `colour`."""
    width: float = 1
    dashed: bool = False
    steps: bool = False
    """Whether y stays level until the next x."""
    kind: Literal["lines"] = "lines"


@dataclass(frozen=True, kw_only=True)
class HorizontalLine:
    """A level across the panel."""

    name: str = ""
    y: float
    colour: str = "ink"
    kind: Literal["horizontal"] = "horizontal"


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Horizontal bars at the names of the y axis."""

    name: str = ""
    at: Sequence[float]
    """Their middles on the y axis."""
    start: Sequence[float]
    length: Sequence[float]
    height: float = 0.6
    """As a share of the distance between names."""
    colour: str = "blue"
    tooltips: Sequence[str] = ()
    kind: Literal["bars"] = "bars"


Layer = Points | Lines | HorizontalLine | Bars


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes."""

    x: Axis
    y: Axis
    layers: Sequence[Layer]


@dataclass(frozen=True, kw_only=True)
class ColourScale:
    """The meaning of `shades`."""

    label: str
    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure: panels side by side."""

    title: str
    caption: str
    """Says what is seen without the text around it."""
    panels: Sequence[Panel]
    scale: ColourScale | None = None
    same_y: bool = True
    """Whether the panels share the y axis; only the first is labelled then."""
    height: float = 4.4
    """In inches, on paper."""
    width: float = 7.2
    """In inches, on paper."""


def save_chart(chart: Chart, name: str, out: Path) -> None:
    """Draw the chart as `name.png` and `name.svg` into the folder `out`."""
    from sweeps.report.charts.draw import write_files

    write_files(chart, name, out)
