"""`segments.gif`: the first of the puzzles, a frame for each segment."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from hrm.files import write_atomically
from sweeps.report.style import COLOURS

FILE_NAME = "segments.gif"
CELL = 40
"""Pixels."""
MARGIN = 24
HEAD = 64
FRAME_MILLISECONDS = 1500
LARGEST_SIDE = 12
"""Cells of a row beyond which digits would no longer be read."""
RIGHT, WRONG, CHANGED, GIVEN = COLOURS["green"], COLOURS["vermilion"], COLOURS["blue"], "#E9ECF1"


def fits(solving: dict[str, Any]) -> bool:
    """Whether the puzzles' cells can be read in a picture."""
    return max(solving["columns"], len(solving["puzzles"][0]["given"]) // solving["columns"]) <= LARGEST_SIDE


def write(solving: dict[str, Any], path: Path) -> None:
    """Draws what `sweeps.report.solving` found."""
    puzzle = solving["puzzles"][0]
    last = max(len(arm["segments"]) for arm in puzzle["arms"])
    first, *rest = [_frame(solving, puzzle, segment) for segment in range(last + 1)]
    write_atomically(
        path,
        lambda file: first.save(file, format="GIF", save_all=True, append_images=rest, loop=0,
                                duration=FRAME_MILLISECONDS),
    )  # fmt: skip


def _frame(solving: dict[str, Any], puzzle: dict[str, Any], segment: int) -> Image.Image:
    columns = solving["columns"]
    lines = -(-len(puzzle["given"]) // columns)
    width = MARGIN + len(puzzle["arms"]) * (columns * CELL + MARGIN)
    frame = Image.new("RGB", (width, HEAD + lines * CELL + MARGIN), "white")
    draw = ImageDraw.Draw(frame)
    said = "the puzzle" if segment == 0 else f"segment {segment}"
    draw.text((MARGIN, 8), said, COLOURS["ink"], font=_font(20))
    for k, arm in enumerate(puzzle["arms"]):
        left = MARGIN + k * (columns * CELL + MARGIN)
        draw.text((left, 36), arm["name"], COLOURS["ink"], font=_font(17))
        _board(draw, solving, puzzle, arm, segment, left)
    return frame


def _board(
    draw: ImageDraw.ImageDraw,
    solving: dict[str, Any],
    puzzle: dict[str, Any],
    arm: Any,
    segment: int,
    left: int,
) -> None:
    columns, given, segments = solving["columns"], puzzle["given"], arm["segments"]
    at = segments[min(segment, len(segments)) - 1] if segment else None
    before = segments[min(segment, len(segments)) - 2] if segment > 1 else None
    for i, text in enumerate(given):
        x, y = left + i % columns * CELL, HEAD + i // columns * CELL
        box = (x, y, x + CELL, y + CELL)
        answer = text or (at["cells"][i] if at else "")
        colour = COLOURS["ink"] if text else RIGHT if answer == puzzle["solution"][i] else WRONG
        draw.rectangle(box, fill=GIVEN if text else "white", outline=COLOURS["light"])
        if before and not text and before["cells"][i] != answer:
            draw.rectangle((x + 2, y + 2, x + CELL - 2, y + CELL - 2), outline=CHANGED, width=3)
        draw.text((x + CELL / 2, y + CELL / 2), answer, colour, font=_font(22), anchor="mm")
    _lines(draw, solving, len(given) // columns, left)


def _lines(draw: ImageDraw.ImageDraw, solving: dict[str, Any], lines: int, left: int) -> None:
    columns = solving["columns"]
    for i in range(0, columns + 1, solving["box_columns"] or columns):
        draw.line((left + i * CELL, HEAD, left + i * CELL, HEAD + lines * CELL), COLOURS["ink"], 3)
    for i in range(0, lines + 1, solving["box_rows"] or lines):
        draw.line((left, HEAD + i * CELL, left + columns * CELL, HEAD + i * CELL), COLOURS["ink"], 3)


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
