"""A report as one HTML page: texts and tables as HTML, figures as data that its scripts draw."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeps.report.blocks import Block, Code, Figure, Items, Report, Section, Table, Text, Widget
from sweeps.report.charts.chart import COLOURS, DARK_COLOURS

FOLDER = Path(__file__).parent / "page_files"
SCRIPTS = ("svg.js", "chart.js", "parallel.js", "puzzle.js", "main.js")
LONG = 26
"""Characters from which on a cell needs a wide column."""
_NUMBER = re.compile(r"[<+-]?\s?[\d,.]+(e[+-]?\d+)?%?( (iso|± [\d.]+))?( [kMGTPE]?FLOPs| s| min)?|–")


def render_page(report: Report) -> str:
    """Return the whole page."""
    data: dict[str, Any] = {}
    sections = list(report.sections)
    body = "\n".join(_render_section(section, data) for section in sections)
    titles = [section.title for section in sections]
    links = "".join(
        f'<li><a href="#{_build_anchor(title)}">{html.escape(title)}</a></li>' for title in titles
    )
    return string.Template(_read_file("page.html")).substitute(
        title=html.escape(report.title),
        opening=_render_inline(report.opening),
        style=f"{_render_palette()}\n{_read_file('page.css')}",
        links=links,
        sections=body,
        data=_dump_json(data),
        scripts="\n".join(map(_read_file, SCRIPTS)),
    )


def _read_file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _render_palette() -> str:
    """Return the figures' colours by role; paper is white, so print takes the light ones."""
    light, dark = (
        "".join(f"--{name}:{colour};" for name, colour in colours.items())
        for colours in (COLOURS, DARK_COLOURS)
    )
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def _render_section(section: Section, data: dict[str, Any]) -> str:
    anchor = _build_anchor(section.title)
    body = "\n".join(text for block in section.blocks for text in _render_block(block, data))
    heading = f'<h2 id="{anchor}-title">{html.escape(section.title)}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n{heading}\n{body}\n</section>'


def _render_block(block: Block, data: dict[str, Any]) -> Iterator[str]:
    """Yield the HTML of a block, and add what its script draws to the data."""
    match block:
        case Text(text):
            yield f"<p>{_render_inline(text)}</p>"
        case Table():
            yield _render_table(block)
        case Items(items):
            yield "<ul>" + "".join(f"<li>{_render_inline(item)}</li>" for item in items) + "</ul>"
        case Code(text):
            yield f'<pre tabindex="0"><code>{html.escape(text)}</code></pre>'
        case Figure(name, chart):
            data[name] = dataclasses.asdict(chart)
            caption = f"<figcaption>{_render_inline(chart.caption)}</figcaption>"
            yield f'<figure data-kind="chart" data-name="{name}"><div class="plot"></div>{caption}</figure>'
        case Widget(name, values):
            data[name] = values
            yield f'<figure data-kind="{name}" data-name="{name}"><div class="plot"></div></figure>'


def _render_table(table: Table) -> str:
    # Long names may break behind their parts: `test/blank_accuracy` must not make its column wide.
    header = [re.sub(r"(?<!<)([/_])(?=\w)", r"\1<wbr>", _render_inline(cell)) for cell in table.header]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    # Each cell has its column's name too, shown next to it where the page is narrow.
    labels = [html.escape(name.replace("`", "")) for name in table.header]
    rows = []
    for first, *rest in table.rows:
        cells = [f'<th scope="row">{_render_inline(first)}</th>']
        for label, cell in zip(labels[1:], rest, strict=True):
            kind = "number" if _NUMBER.fullmatch(cell) else "long" if len(cell) > LONG else ""
            cells.append(f'<td class="{kind}" data-label="{label}"><span>{_render_inline(cell)}</span></td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table></div>"
    )


def _render_inline(text: str) -> str:
    escaped = html.escape(text, quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)


def _build_anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _dump_json(data: Any) -> str:
    """Return JSON for a script element: nothing in it can close the element."""
    return json.dumps(_round_numbers(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _round_numbers(value: Any) -> Any:
    """Round to six digits, more than a screen can show; a page of a thousand trials stays light."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _round_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_round_numbers(inner) for inner in value]
    return value
