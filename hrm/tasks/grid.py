"""Sudoku grids: their sizes, their rows, columns and boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Grid:
    """A square grid of boxes, each `box_rows` by `box_cols` cells, holding the digits 1 to `size`."""

    box_rows: int
    box_cols: int

    @property
    def size(self) -> int:
        """Cells of a row, and digits."""
        return self.box_rows * self.box_cols

    @property
    def num_cells(self) -> int:
        return self.size**2

    @property
    def num_bands(self) -> int:
        """Rows of boxes."""
        return self.size // self.box_rows

    @property
    def num_stacks(self) -> int:
        """Columns of boxes."""
        return self.size // self.box_cols

    @property
    def transposes(self) -> bool:
        """Whether transposition maps grids to grids."""
        return self.box_rows == self.box_cols

    def boxes(self, cells: np.ndarray) -> np.ndarray:
        """View of `cells` [size, size, ...] as [bands, box_rows, stacks, box_cols, ...]."""
        return cells.reshape(self.num_bands, self.box_rows, self.num_stacks, self.box_cols, *cells.shape[2:])

    @cached_property
    def units(self) -> np.ndarray:
        """The cells of each row, then each column, then each box; int [3 * size, size]."""
        cells = np.arange(self.num_cells).reshape(self.size, self.size)
        boxes = self.boxes(cells).swapaxes(1, 2).reshape(self.size, self.size)
        return np.concatenate([cells, cells.T, boxes])

    @cached_property
    def units_of(self) -> np.ndarray:
        """The row, the column and the box of each cell, as indices into `units`; int [3, cells]."""
        return np.argsort(self.units.reshape(3, -1), axis=1) // self.size + np.arange(3)[:, None] * self.size


GRIDS = {grid.num_cells: grid for grid in (Grid(2, 2), Grid(2, 3), Grid(3, 3))}
"""The grids that we know, by their number of cells."""


def are_solutions(grids: np.ndarray, grid: Grid) -> np.ndarray:
    """Whether each of `grids` [P, cells] holds every digit once in each row, column and box; bool [P]."""
    in_range = (grids >= 1) & (grids <= grid.size)
    bits = np.left_shift(1, np.where(in_range, grids, 0), dtype=np.int32)
    every_digit = (2 << grid.size) - 2
    return (np.bitwise_or.reduce(bits[:, grid.units], axis=2) == every_digit).all(axis=1)
