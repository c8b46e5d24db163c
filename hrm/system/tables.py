"""Tables as text: aligned columns for a terminal, Markdown for a document."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

Rows = Sequence[Sequence[str]]
"""The header is the first row."""
LEAST_WIDTH = 24
"""Columns of a wrapped text, however long the columns before it are."""


def format_columns(rows: Rows, indent: str = "", wrap: int | None = None) -> str:
    """Align a table in columns, the first flush left and the others flush right.

    Args:
        rows: of one length.
        indent: before each line.
        wrap: columns of the terminal; makes the last column a text, flush left and wrapped below itself.
    """
    columns = list(zip(*rows))[: None if wrap is None else -1]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        line = indent + "  ".join([row[0].ljust(widths[0]), *cells[1:]])
        if wrap is not None:
            start = line + "  "
            width = max(wrap, len(start) + LEAST_WIDTH)
            lines += textwrap.wrap(row[-1], width, initial_indent=start, subsequent_indent=" " * len(start))
        else:
            lines.append(line.rstrip())
    return "\n".join(lines)


def format_markdown_table(rows: Rows) -> str:
    """Return a Markdown table; bars inside cells are escaped."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
