"""What a figure shows, as plain data. matplotlib draws it for papers, a script draws it in the page.

Colours are named by their role in `style.COLOURS`, so that each face can choose them for its background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Mark = Literal["circle", "square", "diamond", "triangle", "cross", "down"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    label: str
    log: bool = False
    whole: bool = False
    """Only whole numbers are marked."""
    names: Sequence[str] = ()
    """What stands at 0, 1, 2, ... of an axis of names; the first is at the left, or at the top."""
    ticks: Sequence[float] = ()
    """Where to mark it; empty leaves that to the face."""
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
    """Across, in points."""
    hollow: bool = False
    x_error: Sequence[float] = ()
    """Half of an interval; empty draws none."""
    y_error: Sequence[float] = ()
    notes: Sequence[str] = ()
    """What a reader who points at a mark is told."""
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
    """Level until the next x."""
    kind: Literal["lines"] = "lines"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A level across the panel."""

    name: str = ""
    y: float
    colour: str = "ink"
    kind: Literal["rule"] = "rule"


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Lying bars at the names of the y axis."""

    name: str = ""
    at: Sequence[float]
    """Their middles on the y axis."""
    start: Sequence[float]
    length: Sequence[float]
    height: float = 0.6
    """In names: 1 would touch the next one's."""
    colour: str = "blue"
    notes: Sequence[str] = ()
    kind: Literal["bars"] = "bars"


Layer = Points | Lines | Rule | Bars


@dataclass(frozen=True, kw_only=True)
class Panel:
    x: Axis
    y: Axis
    layers: Sequence[Layer]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What `shades` mean."""

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
    scale: Scale | None = None
    same_y: bool = True
    """The panels share the y axis; only the first is labelled."""
    height: float = 4.4
    """In inches, on paper."""
    wide: float = 7.2
    """In inches, on paper."""
    kind: Literal["chart"] = field(default="chart")
