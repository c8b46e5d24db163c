"""Sudoku grids: their sizes, their rows, columns and boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hrm.data.sampling import draw_random_bits, hash_uint64


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


ROUNDS = 4
"""Refinements. Six told no more of 3,000 nearly full 6x6 puzzles apart than four; three told fewer."""

_BLOCK = 4096
_CLUE, _BLANK, _ROW, _COLUMN, _BOX, _LINE, _BLOCK_OF_LINES, _DIGIT, _WHOLE = (
    draw_random_bits(0, name) for name in range(9)
)
_BOX_AXES, _ROW_AXES, _COLUMN_AXES = (1, 3), (1,), (0,)


def compute_class_ids(puzzles: np.ndarray, grid: Grid) -> np.ndarray:
    """The fingerprint of each puzzle.

    Args:
        puzzles: digits [P, cells], 0 for blank.
        grid: the geometry.

    Returns:
        uint64 [P].
    """
    blocks = [puzzles[start : start + _BLOCK] for start in range(0, len(puzzles), _BLOCK)]
    if not blocks:
        return np.zeros(0, np.uint64)
    return np.concatenate([_refine(np.ascontiguousarray(block.T), grid) for block in blocks])


def _refine(cells: np.ndarray, grid: Grid) -> np.ndarray:
    """Fingerprints uint64 [P] of digits [cells, P]."""
    size, num = grid.size, cells.shape[1]
    digits = cells.reshape(size, size, num)
    clues = digits > 0
    colours = np.where(clues, _CLUE, _BLANK)
    # Where boxes are not square, rows and columns are different things and never trade places.
    column_name = _ROW if grid.transposes else _COLUMN
    with np.errstate(over="ignore"):
        for _ in range(ROUNDS):
            rows = _lines(colours, _ROW_AXES, grid.num_bands, _ROW)
            columns = _lines(colours, _COLUMN_AXES, grid.num_stacks, column_name)
            boxes = hash_uint64(hash_uint64(grid.boxes(colours)).sum(axis=_BOX_AXES, dtype=np.uint64) ^ _BOX)
            of_digit = _of_digits(colours, digits, clues, size)
            lines = rows[:, None] + columns[None, :]
            around = (grid.boxes(lines) + boxes[:, None, :, None]).reshape(colours.shape)
            colours = hash_uint64(colours ^ hash_uint64(around + of_digit))
        return hash_uint64(hash_uint64(colours ^ _WHOLE).sum(axis=(0, 1), dtype=np.uint64))


def _lines(colours: np.ndarray, axes: tuple[int, ...], num_blocks: int, name: np.ndarray) -> np.ndarray:
    """Colours uint64 [size, P] of rows or columns, each with its band or stack mixed in."""
    lines = hash_uint64(hash_uint64(colours ^ _LINE).sum(axis=axes, dtype=np.uint64) ^ name)
    by_block = lines.reshape(num_blocks, -1, lines.shape[-1])
    blocks = hash_uint64(hash_uint64(by_block ^ _BLOCK_OF_LINES).sum(axis=1, dtype=np.uint64))
    return hash_uint64((by_block ^ blocks[:, None]) + name).reshape(lines.shape)


def _of_digits(colours: np.ndarray, digits: np.ndarray, clues: np.ndarray, size: int) -> np.ndarray:
    """For each cell the colour of its digit: of all cells that hold the same; 0 where blank. uint64."""
    mixed = hash_uint64(colours ^ _DIGIT)
    of_digit = np.zeros_like(colours)
    for digit in range(1, size + 1):
        holds = digits == digit
        colour = hash_uint64(np.where(holds, mixed, np.uint64(0)).sum(axis=(0, 1), dtype=np.uint64))
        of_digit += np.where(holds, colour, np.uint64(0))
    return np.where(clues, of_digit, np.uint64(0))


class ClassSplitter:
    """Gives whole symmetry classes (equal fingerprints) to splits, in the order in which puzzles are offered.

    A class goes, when its first puzzle is seen, to the split with room that has fewest classes for its size;
    splits without any come first. A puzzle that was seen before is passed over.

    Args:
        sizes: the wanted number of puzzles of each split, each at least 1.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.chosen: dict[str, list[int]] = {name: [] for name in sizes}
        """For each split the numbers of its puzzles, counted over all that were offered."""
        self._num_classes = dict.fromkeys(sizes, 0)
        self._split_of: dict[int, str] = {}
        self._seen: set[bytes] = set()
        self._num_offered = 0

    @property
    def num_missing(self) -> int:
        """Puzzles still wanted, over all splits."""
        return sum(self.sizes[name] - len(members) for name, members in self.chosen.items())

    def offer(self, puzzles: np.ndarray, class_ids: np.ndarray) -> None:
        """Takes what fits of `puzzles` [P, cells] with `class_ids` uint64 [P]."""
        for puzzle, fingerprint in zip(puzzles, class_ids.tolist()):
            self._offer_one(puzzle.tobytes(), fingerprint)
            self._num_offered += 1

    def _offer_one(self, puzzle: bytes, fingerprint: int) -> None:
        if puzzle in self._seen:
            return
        name = self._split_of.get(fingerprint) or self._neediest()
        if name is None or not self._has_room(name):
            return
        if fingerprint not in self._split_of:
            self._split_of[fingerprint] = name
            self._num_classes[name] += 1
        self._seen.add(puzzle)
        self.chosen[name].append(self._num_offered)

    def _has_room(self, name: str) -> bool:
        return len(self.chosen[name]) < self.sizes[name]

    def _neediest(self) -> str | None:
        roomy = [name for name in self.sizes if self._has_room(name)]
        return min(roomy, key=lambda name: self._num_classes[name] / self.sizes[name], default=None)
