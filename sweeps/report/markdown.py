"""`report.md`: the blocks as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sweeps.report.blocks import Block, Code, Figure, Image, Items, Report, Table, Text, Widget


def document(report: Report) -> str:
    """The whole report."""
    parts = [f"# {report.title}", report.opening]
    for section in report.sections:
        parts.append(f"## {section.title}")
        parts += texts(section.blocks)
    return "\n\n".join(parts) + "\n"


def texts(blocks: Iterable[Block]) -> Iterator[str]:
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
        yield from texts(block.instead)
