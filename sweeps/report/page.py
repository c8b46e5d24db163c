"""The page's HTML: texts and tables stand in it, figures are drawn by its scripts from data in it."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sweeps.report.blocks import Block, Code, Figure, Items, Report, Section, Table, Text, Widget
from sweeps.report.charts import style

FOLDER = Path(__file__).parent / "page_files"
SCRIPTS = ("svg.js", "chart.js", "parallel.js", "puzzle.js", "main.js")
LONG = 26
"""Characters of a cell that wants a wide column."""
_NUMBER = re.compile(r"[<+-]?\s?[\d,.]+(e[+-]?\d+)?%?( (iso|± [\d.]+))?( [kMGTPE]?FLOPs| s| min)?|–")


def render_page(report: Report) -> str:
    """The whole page."""
    data: dict[str, Any] = {}
    sections = "\n".join(_section(section, data) for section in report.sections)
    links = "".join(
        f'<li><a href="#{_anchor(section.title)}">{html.escape(section.title)}</a></li>'
        for section in report.sections
    )
    scripts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(report.title)}</title>
<link rel="icon" href="data:,">
<style>
{_palette()}
{(FOLDER / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>
<h1>{html.escape(report.title)}</h1>
<p class="opening">{_inline(report.opening)}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="main">
{sections}
</main>
<script type="application/json" id="data">{_json(data)}</script>
<script>
{scripts}</script>
</body>
</html>
"""


def _palette() -> str:
    """The figures' colours by role; paper is white, so print takes the light ones."""
    light, dark = (
        "".join(f"--{name}:{colour};" for name, colour in colours.items())
        for colours in (style.COLOURS, style.DARK)
    )
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def _section(section: Section, data: dict[str, Any]) -> str:
    anchor = _anchor(section.title)
    body = "\n".join(text for block in section.blocks for text in _render(block, data))
    title = html.escape(section.title)
    heading = f'<h2 id="{anchor}-title">{title}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n{heading}\n{body}\n</section>'


def _render(block: Block, data: dict[str, Any]) -> Iterator[str]:
    if isinstance(block, Text):
        yield f"<p>{_inline(block.text)}</p>"
    elif isinstance(block, Table):
        yield _table(block)
    elif isinstance(block, Items):
        yield "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in block.items) + "</ul>"
    elif isinstance(block, Code):
        yield f'<pre tabindex="0"><code>{html.escape(block.text)}</code></pre>'
    elif isinstance(block, Figure):
        data[block.name] = dataclasses.asdict(block.chart)
        yield _moving("chart", block.name, block.chart.caption)
    elif isinstance(block, Widget):
        data[block.name] = block.data
        yield _moving(block.name, block.name, "")


def _moving(kind: str, name: str, caption: str) -> str:
    text = f"<figcaption>{_inline(caption)}</figcaption>" if caption else ""
    return f'<figure data-kind="{kind}" data-name="{name}"><div class="plot"></div>{text}</figure>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{_breakable(_inline(cell))}</th>' for cell in table.header)
    rows = "\n".join(f"<tr>{_cells(table.header, row)}</tr>" for row in table.rows)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _cells(header: Sequence[str], row: Sequence[str]) -> str:
    """Each says its column's name too, which stands beside it where the page is narrow."""
    first, *rest = row
    cells = [f'<th scope="row">{_inline(first)}</th>']
    for name, cell in zip(header[1:], rest, strict=True):
        kind = "number" if _NUMBER.fullmatch(cell) else "long" if len(cell) > LONG else ""
        label = html.escape(name.replace("`", ""))
        cells.append(f'<td class="{kind}" data-label="{label}"><span>{_inline(cell)}</span></td>')
    return "".join(cells)


def _breakable(text: str) -> str:
    """Long names may break behind their parts: `test/blank_accuracy` must not make its column wide."""
    return re.sub(r"(?<!<)([/_])(?=\w)", r"\1<wbr>", text)


def _inline(text: str) -> str:
    escaped = html.escape(text, quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _json(data: Any) -> str:
    """As a script element may hold it: nothing in it can close the element."""
    return json.dumps(_rounded(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _rounded(value: Any) -> Any:
    """Numbers to six digits, more than a screen can show; a page of a thousand trials stays light."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
