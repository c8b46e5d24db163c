"""Sudoku grids: their sizes, and views of an array of cells by row, column and box."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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

    def units(self, cells: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[int, ...]]]:
        """Views of `cells` [size, size, ...] by row, column and box, with the axes that run within a unit."""
        yield cells, (1,)
        yield cells, (0,)
        yield self.boxes(cells), (1, 3)


GRIDS = {grid.num_cells: grid for grid in (Grid(2, 2), Grid(2, 3), Grid(3, 3))}
"""The grids that we know, by their number of cells."""


def are_solutions(grids: np.ndarray, grid: Grid) -> np.ndarray:
    """Whether each of `grids` [P, cells] holds every digit once in each row, column and box; bool [P]."""
    digits = grids.T.reshape(grid.size, grid.size, -1)
    in_range = ((digits >= 1) & (digits <= grid.size)).all(axis=(0, 1))
    bits = np.left_shift(1, np.where(in_range, digits, 0).astype(np.int32))
    every_digit = (2 << grid.size) - 2
    right = np.asarray(in_range)
    for view, axes in grid.units(bits):
        seen = np.bitwise_or.reduce(view, axis=axes)
        right &= (seen == every_digit).reshape(grid.size, -1, len(grids)).all(axis=(0, 1))
    return right
