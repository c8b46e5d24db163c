"""The winner and a preset at the same held-out puzzles, segment by segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hrm.tasks.base import IGNORED_LABEL
from hrm.tasks.grid import GRIDS
from sweeps.report.folder import Folder, Row

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


def solving(folder: Folder) -> dict[str, Any] | None:
    """What the page's script shows: puzzles, and for each the answers of finalist and preset after each segment.

    None where no model was asked, or where only one was.
    """
    rows = [row for row in _chosen(folder) if row["number"] in folder.answers]
    if len(rows) < 2:
        return None
    grid = Grid.of(folder.config(rows[0])["model"])
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


def _chosen(folder: Folder) -> list[Row]:
    """The first completed confirmations of the leading finalist and of the best preset."""
    arms = (folder.comparisons.best_finalist, folder.comparisons.best_preset)
    names = [arm.name for arm in arms if arm is not None]
    return [row for name in names for row in folder.of("confirm", "completed") if row["arm"] == name]


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
