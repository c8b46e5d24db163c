"""What a report says, as blocks that each face renders: Markdown and the page.

Texts may hold `code` and **strong** words, as Markdown spells them; nothing else is markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeps.report.charts.chart import Chart


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Table:
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Items:
    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Figure:
    name: str
    """Of its files in `figures/`."""
    chart: Chart


@dataclass(frozen=True)
class Image:
    """A file of `figures/` that is no chart."""

    file: str
    caption: str


@dataclass(frozen=True)
class Widget:
    """Something that moves: the page gives `data` to the script of that name, other faces show `instead`."""

    name: str
    data: Any
    instead: Sequence[Text | Table | Items | Code | Figure | Image] = ()


Block = Text | Table | Items | Code | Figure | Image | Widget


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Report:
    title: str
    opening: str
    sections: Sequence[Section] = field(default_factory=list)
