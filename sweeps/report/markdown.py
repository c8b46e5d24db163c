"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hrm.system.format import format_markdown_table
from sweeps.report.blocks import Block, Code, Figure, Image, Items, Report, Section, Table, Text, Widget


def render_markdown(report: Report) -> str:
    """Return the whole document."""
    return "\n\n".join([f"# {report.title}", report.opening, *map(render_section, report.sections)]) + "\n"


def render_section(section: Section) -> str:
    """Return a section with its heading."""
    return "\n\n".join([f"## {section.title}", *render_blocks(section.blocks)])


def render_blocks(blocks: Iterable[Block]) -> Iterator[str]:
    """Yield the blocks' paragraphs."""
    for block in blocks:
        match block:
            case Text(text):
                yield text
            case Table(header, rows):
                yield format_markdown_table([header, *rows])
            case Items(items):
                yield "\n".join(f"- {item}" for item in items)
            case Code(text):
                yield f"```\n{text}\n```"
            case Figure(name, chart):
                yield f"![{name.replace('_', ' ')}](figures/{name}.png)"
                yield f"*{chart.caption}*"
            case Image(file, caption):
                yield f"![{Path(file).stem}](figures/{file})"
                yield f"*{caption}*"
            case Widget(instead=instead):
                yield from render_blocks(instead)
