"""Example puzzles, answered by the best configuration and the best preset, segment by segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from hrm.data.base import IGNORED_LABEL
from hrm.data.sudoku.grid import GRIDS
from hrm.system.files import write_atomically
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Image, Section, Text, Widget
from sweeps.report.charts.chart import COLOURS
from sweeps.results.schema import Row

SUDOKU_TOKENS = 11
"""PAD, blank, and the digits as token - 1."""
FILE_NAME = "segments.gif"
CELL, MARGIN, HEAD = 40, 24, 64
"""In pixels."""
FRAME_MILLISECONDS = 1500
LARGEST_SIDE = 12
"""Cells of a row up to which digits are readable."""
RIGHT, WRONG, CHANGED, GIVEN = COLOURS["green"], COLOURS["vermilion"], COLOURS["blue"], "#E9ECF1"


@dataclass(frozen=True)
class Layout:
    """The layout of a puzzle's cells."""

    columns: int
    box_columns: int = 0
    """0 without boxes."""
    box_rows: int = 0
    offset: int = 0
    """A token minus this is the number to write."""

    @classmethod
    def infer(cls, model: dict[str, Any]) -> Layout:
        """Infer it from a model's configuration: a Sudoku, else a square, else one line."""
        num_cells = model["seq_len"]
        if model["vocab_size"] == SUDOKU_TOKENS and num_cells in GRIDS:
            grid = GRIDS[num_cells]
            return cls(grid.size, grid.box_cols, grid.box_rows, 1)
        side = math.isqrt(num_cells)
        return cls(side if side * side == num_cells else num_cells)

    def write_token(self, token: int) -> str:
        """Return the text of a cell."""
        return str(token - self.offset)


def collect_examples(folder: SweepFolder) -> dict[str, Any] | None:
    """Collect puzzles, and each model's answers after each segment, as the page's script shows them.

    Returns:
        The data, or None if fewer than two models have answered.
    """
    found = folder.comparisons
    names = [arm.name for arm in (found.best_finalist, found.best_preset) if arm is not None]
    runs = [row for name in names for row in folder.select("confirm", "completed") if row["arm"] == name]
    rows = [row for row in runs if row["number"] in folder.answers]
    if len(rows) < 2:
        return None
    layout = Layout.infer(folder.read_config(rows[0])["model"])
    answers = [folder.answers[row["number"]] for row in rows]
    puzzles = [
        _collect_puzzle(
            layout, answers[0]["blank_token"], rows, [answer["examples"][i] for answer in answers]
        )
        for i in range(len(answers[0]["examples"]))
    ]
    boxes = {"box_columns": layout.box_columns, "box_rows": layout.box_rows}
    return {"columns": layout.columns, **boxes, "puzzles": puzzles}


def _collect_puzzle(
    layout: Layout, blank: int | None, rows: Sequence[Row], answers: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    given = []
    for token, label in zip(answers[0]["inputs"], answers[0]["labels"]):
        is_open = label != IGNORED_LABEL and (token == blank if blank is not None else token != label)
        given.append("" if is_open else layout.write_token(token))
    arms = [
        {
            "name": row["arm"],
            "segments": [
                {
                    "cells": [layout.write_token(token) for token in segment["tokens"]],
                    "confidence": segment["confidence"],
                    "halt": segment["halting"],
                }
                for segment in answer["segments"]
            ],
        }
        for row, answer in zip(rows, answers)
    ]
    solution = [layout.write_token(label) for label in answers[0]["labels"]]
    return {"given": given, "solution": solution, "arms": arms}


def build_examples(folder: SweepFolder) -> Section | None:
    """Build the puzzles to step through; None if fewer than two models have answered."""
    data = collect_examples(folder)
    if data is None:
        return None
    names = " and ".join(arm["name"] for arm in data["puzzles"][0]["arms"])
    text = (
        f"Answers of {names}, each after its first confirmation run, to the first {len(data['puzzles'])} puzzles of "
        "the validation split, after each segment of computation. Shaded cells are given, outlined ones have changed "
        "since the segment before. A few puzzles show how a model works, not how well: for that, see the verdict."
    )
    blocks: list[Block] = [Text(text), Widget("puzzle", data)]
    if is_readable(data):
        caption = "The first puzzle: green is right, vermilion wrong, a blue frame marks what has changed."
        animation = Text(f"The first of them as an animation: `figures/{FILE_NAME}`.")
        blocks = [
            Text(text),
            Widget("puzzle", data, [Image(FILE_NAME, caption, partial(write_animation, data))]),
            animation,
        ]
    return Section("Example puzzles, segment by segment", blocks)


def is_readable(examples: dict[str, Any]) -> bool:
    """Return whether the puzzles' cells can be read in a picture."""
    return max(examples["columns"], _count_rows(examples)) <= LARGEST_SIDE


def write_animation(examples: dict[str, Any], path: Path) -> None:
    """Draw the first puzzle as a GIF, with a frame for the puzzle and one for each segment."""
    last = max(len(arm["segments"]) for arm in examples["puzzles"][0]["arms"])
    first, *rest = [_draw_frame(examples, segment) for segment in range(last + 1)]
    look = {"save_all": True, "append_images": rest, "loop": 0, "duration": FRAME_MILLISECONDS}
    write_atomically(path, lambda file: first.save(file, format="GIF", **look))


def _count_rows(examples: dict[str, Any]) -> int:
    return -(-len(examples["puzzles"][0]["given"]) // examples["columns"])


def _draw_frame(examples: dict[str, Any], segment: int) -> PilImage.Image:
    arms, board = examples["puzzles"][0]["arms"], examples["columns"] * CELL + MARGIN
    size = (MARGIN + len(arms) * board, HEAD + _count_rows(examples) * CELL + MARGIN)
    frame = PilImage.new("RGB", size, "white")
    draw = ImageDraw.Draw(frame)
    title = "the puzzle" if segment == 0 else f"segment {segment}"
    draw.text((MARGIN, 8), title, COLOURS["ink"], font=_load_font(20))
    for k, arm in enumerate(arms):
        left = MARGIN + k * board
        draw.text((left, 36), arm["name"], COLOURS["ink"], font=_load_font(17))
        _draw_cells(draw, examples, arm["segments"], segment, left)
        _draw_grid(draw, examples, left)
    return frame


def _draw_cells(
    draw: ImageDraw.ImageDraw, examples: dict[str, Any], segments: Sequence[Any], segment: int, left: int
) -> None:
    """Draw an arm's answers after a segment: 0 is the puzzle as given, after its last one they stay."""
    columns, puzzle = examples["columns"], examples["puzzles"][0]
    now = segments[min(segment, len(segments)) - 1]["cells"] if segment else None
    before = segments[min(segment, len(segments)) - 2]["cells"] if segment > 1 else None
    for i, text in enumerate(puzzle["given"]):
        x, y = left + i % columns * CELL, HEAD + i // columns * CELL
        answer = text or (now[i] if now else "")
        colour = COLOURS["ink"] if text else RIGHT if answer == puzzle["solution"][i] else WRONG
        draw.rectangle((x, y, x + CELL, y + CELL), GIVEN if text else "white", COLOURS["light"])
        if before and not text and before[i] != answer:
            draw.rectangle((x + 2, y + 2, x + CELL - 2, y + CELL - 2), outline=CHANGED, width=3)
        draw.text((x + CELL / 2, y + CELL / 2), answer, colour, font=_load_font(22), anchor="mm")


def _draw_grid(draw: ImageDraw.ImageDraw, examples: dict[str, Any], left: int) -> None:
    columns, rows = examples["columns"], _count_rows(examples)
    for i in range(0, columns + 1, examples["box_columns"] or columns):
        draw.line((left + i * CELL, HEAD, left + i * CELL, HEAD + rows * CELL), COLOURS["ink"], 3)
    for i in range(0, rows + 1, examples["box_rows"] or rows):
        draw.line((left, HEAD + i * CELL, left + columns * CELL, HEAD + i * CELL), COLOURS["ink"], 3)


@cache
def _load_font(size: int) -> Any:
    return ImageFont.load_default(size)
