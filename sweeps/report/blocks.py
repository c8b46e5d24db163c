"""What a report says, as blocks that each face renders: Markdown and the page.

Texts may hold `code` and **strong** words, as Markdown spells them; nothing else is markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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


def render_markdown(report: Report) -> str:
    """The whole report."""
    parts = [f"# {report.title}", report.opening]
    for section in report.sections:
        parts.append(f"## {section.title}")
        parts += render_blocks(section.blocks)
    return "\n\n".join(parts) + "\n"


def render_blocks(blocks: Iterable[Block]) -> Iterator[str]:
    """The blocks' paragraphs."""
    for block in blocks:
        yield from _render(block)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _render(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield block.text
    elif isinstance(block, Table):
        yield table(block.header, block.rows)
    elif isinstance(block, Items):
        yield "\n".join(f"- {item}" for item in block.items)
    elif isinstance(block, Code):
        yield f"```\n{block.text}\n```"
    elif isinstance(block, Figure):
        yield f"![{block.name.replace('_', ' ')}](figures/{block.name}.png)"
        yield f"*{block.chart.caption}*"
    elif isinstance(block, Image):
        yield f"![{Path(block.file).stem}](figures/{block.file})"
        yield f"*{block.caption}*"
    elif isinstance(block, Widget):
        yield from render_blocks(block.instead)
