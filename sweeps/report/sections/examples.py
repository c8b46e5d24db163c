"""`segments.gif`: the first of the puzzles, a frame for each segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from hrm.data.base import IGNORED_LABEL
from hrm.data.sudoku.grid import GRIDS
from hrm.system.files import write_atomically
from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.report.blocks import Block, Image, Section, Text, Widget
from sweeps.report.charts.style import COLOURS

SUDOKU_TOKENS = 11
"""PAD, blank, and the digits as token - 1."""


@dataclass(frozen=True)
class Grid:
    """How a puzzle's cells are laid out and written."""

    columns: int
    box_columns: int
    """0 without boxes."""
    box_rows: int
    offset: int
    """A token is written as the number that lies this much below it."""

    @classmethod
    def of(cls, model: dict[str, Any]) -> Grid:
        """By the sizes in a model's configuration: a Sudoku, else a square, else one line."""
        num_cells = model["seq_len"]
        if model["vocab_size"] == SUDOKU_TOKENS and num_cells in GRIDS:
            grid = GRIDS[num_cells]
            return cls(grid.size, grid.box_cols, grid.box_rows, 1)
        side = math.isqrt(num_cells)
        return cls(side if side * side == num_cells else num_cells, 0, 0, 0)

    def text(self, token: int) -> str:
        return str(token - self.offset)


def solving(folder: SweepFolder) -> dict[str, Any] | None:
    """What the page's script shows: puzzles, and for each the answers of finalist and preset after each segment.

    None where no model was asked, or where only one was.
    """
    rows = [row for row in _chosen(folder) if row["number"] in folder.answers]
    if len(rows) < 2:
        return None
    grid = Grid.of(folder.read_config(rows[0])["model"])
    first = folder.answers[rows[0]["number"]]
    return {
        "columns": grid.columns,
        "box_columns": grid.box_columns,
        "box_rows": grid.box_rows,
        "puzzles": [
            _puzzle(
                grid,
                first["blank_token"],
                [(row, folder.answers[row["number"]]["examples"][i]) for row in rows],
            )
            for i in range(len(first["examples"]))
        ],
    }


def _chosen(folder: SweepFolder) -> list[Row]:
    """The first completed confirmations of the leading finalist and of the best preset."""
    arms = (folder.comparisons.best_finalist, folder.comparisons.best_preset)
    names = [arm.name for arm in arms if arm is not None]
    return [row for name in names for row in folder.select("confirm", "completed") if row["arm"] == name]


def _puzzle(grid: Grid, blank: int | None, answers: Sequence[tuple[Row, dict[str, Any]]]) -> dict[str, Any]:
    example = answers[0][1]
    inputs, labels = example["inputs"], example["labels"]
    asked = [label != IGNORED_LABEL and (given == blank if blank is not None else given != label)
             for given, label in zip(inputs, labels)]  # fmt: skip
    return {
        "given": ["" if is_open else grid.text(given) for given, is_open in zip(inputs, asked)],
        "solution": [grid.text(label) for label in labels],
        "arms": [
            {
                "name": row["arm"],
                "segments": [
                    {"cells": [grid.text(token) for token in segment["tokens"]],
                     "confidence": segment["confidence"], "halt": segment["halting"]}
                    for segment in answered["segments"]
                ],
            }
            for row, answered in answers
        ],
    }  # fmt: skip


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
    """Draws what `sweeps.report.sections.examples` found."""
    puzzle = solving["puzzles"][0]
    last = max(len(arm["segments"]) for arm in puzzle["arms"])
    first, *rest = [_frame(solving, puzzle, segment) for segment in range(last + 1)]
    write_atomically(
        path,
        lambda file: first.save(file, format="GIF", save_all=True, append_images=rest, loop=0,
                                duration=FRAME_MILLISECONDS),
    )  # fmt: skip


def _frame(solving: dict[str, Any], puzzle: dict[str, Any], segment: int) -> PilImage.Image:
    columns = solving["columns"]
    lines = -(-len(puzzle["given"]) // columns)
    width = MARGIN + len(puzzle["arms"]) * (columns * CELL + MARGIN)
    frame = PilImage.new("RGB", (width, HEAD + lines * CELL + MARGIN), "white")
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


def segments(folder: SweepFolder) -> Section | None:
    """The puzzles to step through; None where no two models were asked."""
    data = solving(folder)
    if data is None:
        return None
    names = " and ".join(arm["name"] for arm in data["puzzles"][0]["arms"])
    text = (
        f"Answers of {names}, each after its first confirmation run, to the first {len(data['puzzles'])} puzzles of "
        "the validation split, after each segment of thought. Shaded cells are given, outlined ones have changed "
        "since the segment before. A few puzzles show how a model works, not how well: for that, see the verdict."
    )
    caption = "The first puzzle: green is right, vermilion wrong, a blue frame marks what has changed."
    blocks: list[Block] = [Text(text), Widget("puzzle", data)]
    if fits(data):
        moving = Text(f"The first of them as an animation: `figures/{FILE_NAME}`.")
        blocks = [Text(text), Widget("puzzle", data, [Image(FILE_NAME, caption)]), moving]
    return Section("Solving, segment by segment", blocks)
