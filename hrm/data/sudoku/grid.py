"""Sudoku grids, the symmetry classes of puzzles, and splits that share no class."""

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
        """True if transposition maps grids to grids."""
        return self.box_rows == self.box_cols

    def view_boxes(self, cells: np.ndarray) -> np.ndarray:
        """Return a view of `cells` [size, size, ...] as [bands, box_rows, stacks, box_cols, ...]."""
        return cells.reshape(self.num_bands, self.box_rows, self.num_stacks, self.box_cols, *cells.shape[2:])

    @cached_property
    def units(self) -> np.ndarray:
        """The cells of each row, then each column, then each box; int [3 * size, size]."""
        cells = np.arange(self.num_cells).reshape(self.size, self.size)
        boxes = self.view_boxes(cells).swapaxes(1, 2).reshape(self.size, self.size)
        return np.concatenate([cells, cells.T, boxes])

    @cached_property
    def units_of(self) -> np.ndarray:
        """The row, the column and the box of each cell, as indices into `units`; int [3, cells]."""
        return np.argsort(self.units.reshape(3, -1), axis=1) // self.size + np.arange(3)[:, None] * self.size


GRIDS = {grid.num_cells: grid for grid in (Grid(2, 2), Grid(2, 3), Grid(3, 3))}
"""The grids of the tasks, by their number of cells."""


def are_solutions(grids: np.ndarray, grid: Grid) -> np.ndarray:
    """Check for each of `grids` [P, cells] that each row, column and box holds every digit once; bool [P]."""
    in_range = (grids >= 1) & (grids <= grid.size)
    bits = np.left_shift(1, np.where(in_range, grids, 0), dtype=np.int32)
    every_digit = (2 << grid.size) - 2
    return (np.bitwise_or.reduce(bits[:, grid.units], axis=2) == every_digit).all(axis=1)


ROUNDS = 4
"""Refinements. Six distinguished no more of 3,000 nearly full 6x6 puzzles than four; three distinguished fewer."""

_BLOCK = 4096
_CLUE, _BLANK, _ROW, _COLUMN, _BOX, _LINE, _BLOCK_OF_LINES, _DIGIT, _WHOLE = (
    draw_random_bits(0, name) for name in range(9)
)
_BOX_AXES, _ROW_AXES, _COLUMN_AXES = (1, 3), (1,), (0,)


def compute_class_ids(puzzles: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the symmetry class of each puzzle: equal for images of one puzzle, almost surely different otherwise.

    Colours of cells are refined as in graph isomorphism tests: in each round a cell's colour takes in those of its
    row, column, box and digit. Sums over cells do not depend on their order, so symmetries do not change the result.

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
    """Return the classes uint64 [P] of digits [cells, P]."""
    size, num = grid.size, cells.shape[1]
    digits = cells.reshape(size, size, num)
    clues = digits > 0
    colours = np.where(clues, _CLUE, _BLANK)
    # Where boxes are not square, no symmetry exchanges rows and columns, so they have different names.
    column_name = _ROW if grid.transposes else _COLUMN
    with np.errstate(over="ignore"):
        for _ in range(ROUNDS):
            rows = _hash_lines(colours, _ROW_AXES, grid.num_bands, _ROW)
            columns = _hash_lines(colours, _COLUMN_AXES, grid.num_stacks, column_name)
            boxes = hash_uint64(
                hash_uint64(grid.view_boxes(colours)).sum(axis=_BOX_AXES, dtype=np.uint64) ^ _BOX
            )
            of_digit = _hash_digits(colours, digits, clues, size)
            lines = rows[:, None] + columns[None, :]
            around = (grid.view_boxes(lines) + boxes[:, None, :, None]).reshape(colours.shape)
            colours = hash_uint64(colours ^ hash_uint64(around + of_digit))
        return hash_uint64(hash_uint64(colours ^ _WHOLE).sum(axis=(0, 1), dtype=np.uint64))


def _hash_lines(colours: np.ndarray, axes: tuple[int, ...], num_blocks: int, name: np.ndarray) -> np.ndarray:
    """Return colours uint64 [size, P] of rows or columns, each combined with that of its band or stack."""
    lines = hash_uint64(hash_uint64(colours ^ _LINE).sum(axis=axes, dtype=np.uint64) ^ name)
    by_block = lines.reshape(num_blocks, -1, lines.shape[-1])
    blocks = hash_uint64(hash_uint64(by_block ^ _BLOCK_OF_LINES).sum(axis=1, dtype=np.uint64))
    return hash_uint64((by_block ^ blocks[:, None]) + name).reshape(lines.shape)


def _hash_digits(colours: np.ndarray, digits: np.ndarray, clues: np.ndarray, size: int) -> np.ndarray:
    """Return for each cell the colour of its digit, from all cells that hold it; uint64, 0 where blank."""
    mixed = hash_uint64(colours ^ _DIGIT)
    of_digit = np.zeros_like(colours)
    for digit in range(1, size + 1):
        holds = digits == digit
        colour = hash_uint64(np.where(holds, mixed, np.uint64(0)).sum(axis=(0, 1), dtype=np.uint64))
        of_digit += np.where(holds, colour, np.uint64(0))
    return np.where(clues, of_digit, np.uint64(0))


class ClassSplitter:
    """Gives whole symmetry classes to splits, in the order in which puzzles are offered.

    The first puzzle of a class decides its split: of those with room the one with fewest classes for its size; splits
    without any come first. A puzzle that was seen before is skipped.

    Args:
        sizes: the wanted number of puzzles of each split, each at least 1.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.chosen: dict[str, list[int]] = {name: [] for name in sizes}
        """For each split the numbers of its puzzles, counting all that were offered."""
        self._num_classes = dict.fromkeys(sizes, 0)
        self._split_of: dict[int, str] = {}
        self._seen: set[bytes] = set()
        self._num_offered = 0

    @property
    def num_missing(self) -> int:
        """Puzzles still wanted, over all splits."""
        return sum(self.sizes[name] - len(members) for name, members in self.chosen.items())

    def offer(self, puzzles: np.ndarray, class_ids: np.ndarray) -> None:
        """Take what fits of `puzzles` [P, cells] with `class_ids` uint64 [P]."""
        for puzzle, class_id in zip(puzzles, class_ids.tolist()):
            self._offer_one(puzzle.tobytes(), class_id)
            self._num_offered += 1

    def _offer_one(self, puzzle: bytes, class_id: int) -> None:
        if puzzle in self._seen:
            return
        name = self._split_of.get(class_id) or self._find_neediest()
        if name is None or not self._has_room(name):
            return
        if class_id not in self._split_of:
            self._split_of[class_id] = name
            self._num_classes[name] += 1
        self._seen.add(puzzle)
        self.chosen[name].append(self._num_offered)

    def _has_room(self, name: str) -> bool:
        return len(self.chosen[name]) < self.sizes[name]

    def _find_neediest(self) -> str | None:
        roomy = [name for name in self.sizes if self._has_room(name)]
        return min(roomy, key=lambda name: self._num_classes[name] / self.sizes[name], default=None)
