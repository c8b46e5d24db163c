"""The content of a report as blocks, which `markdown.py` and `page.py` render.

Texts may hold `code` and **strong** words, as Markdown spells them; nothing else is markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.report.charts.chart import Chart, save_chart


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; its first column names the rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Lines to copy."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A chart, and the name of its files in `figures/`."""

    name: str
    chart: Chart


@dataclass(frozen=True)
class Image:
    """A file of `figures/` that is no chart."""

    file: str
    caption: str
    write: Callable[[Path], None]
    """Writes it to a path; can be pickled."""


@dataclass(frozen=True)
class Widget:
    """Something interactive: the page gives `data` to the script of that name, Markdown shows `instead`."""

    name: str
    data: Any
    instead: Sequence[Text | Table | Items | Code | Figure | Image] = ()


Block = Text | Table | Items | Code | Figure | Image | Widget


@dataclass(frozen=True)
class Section:
    """A heading and what follows it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole document."""

    title: str
    opening: str
    sections: Iterable[Section]
    """Perhaps an iterator that builds each when it is asked for."""


def list_figures(**charts: Chart | None) -> list[Figure]:
    """Return the charts that the sweep has data for as figures, by the names of their files."""
    return [Figure(name, chart) for name, chart in charts.items() if chart is not None]


def list_drawings(blocks: Iterable[Block], out: Path) -> Iterator[Callable[[], None]]:
    """Yield a function that draws it into the folder `out` for each figure and image of the blocks."""
    for block in blocks:
        match block:
            case Figure(name, chart):
                yield partial(save_chart, chart, name, out)
            case Image(file, _, write):
                yield partial(write, out / file)
            case Widget(instead=instead):
                yield from list_drawings(instead, out)
