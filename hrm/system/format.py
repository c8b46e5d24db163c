"""Numbers and tables as text, for people to read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

_DECIMAL = ("", "k", "M", "G", "T", "P", "E")


def format_scaled(number: float) -> str:
    """Return three digits and a decimal prefix: 27275778 to `27.3M`, 1.2e12 to `1.2T`."""
    return _with_prefix(number, 1000, _DECIMAL)


def format_flops(number: float) -> str:
    """Return three digits and a decimal prefix: 1.27e12 to `1.27 TFLOPs`."""
    return _with_prefix(number, 1000, tuple(f" {prefix}FLOPs" for prefix in _DECIMAL))


def format_bytes(number: float) -> str:
    """Return three digits and a binary prefix: 1048576 to `1 MiB`."""
    return _with_prefix(number, 1024, (" bytes", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"))


def format_percent(fraction: float) -> str:
    """Return a signed percentage of one decimal, or one digit where that would be none: 0.0912 to `+9.1%`."""
    if fraction == 0:
        return "0%"
    return f"{fraction:+.1%}" if abs(fraction) >= 0.0005 else f"{100 * fraction:+.1g}%"


def _with_prefix(number: float, base: int, prefixes: tuple[str, ...]) -> str:
    power = 0
    # Rounded before it is compared: 999.9 is 1k.
    while abs(round(number)) >= base and power < len(prefixes) - 1:
        number, power = number / base, power + 1
    shown = f"{number:.3g}" if abs(number) < 999.5 else f"{number:.0f}"
    return f"{shown}{prefixes[power]}"


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


def format_markdown_table(rows: Rows, left: int | None = None) -> str:
    """Return a Markdown table; bars inside cells are escaped.

    Args:
        rows: of one length.
        left: columns that are flush left, the others being flush right; all if not given.
    """
    header, *body = rows
    num_left = len(header) if left is None else left
    lines = [header, ["---"] * num_left + ["---:"] * (len(header) - num_left), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
