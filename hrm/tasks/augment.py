"""Random symmetries of Sudoku: the official augmentations, for every grid and a whole batch at once."""

from __future__ import annotations

import numpy as np

from hrm.tasks.grid import Grid


def random_cell_maps(grid: Grid, num: int, rng: np.random.Generator) -> np.ndarray:
    """For `num` random symmetries, the cell that each cell takes its content from; int [num, cells].

    Permutes bands, rows within bands, stacks and columns within stacks, and transposes with chance 1/2 where
    boxes are square. Each is uniform over the symmetries of the grid's geometry.
    """
    rows = _random_lines(grid.num_bands, grid.box_rows, num, rng)[:, :, None]
    cols = _random_lines(grid.num_stacks, grid.box_cols, num, rng)[:, None, :]
    maps = rows * grid.size + cols
    if grid.transposes:
        transposed = rng.random(num) < 0.5
        maps = np.where(transposed[:, None, None], rows + cols * grid.size, maps)
    return maps.reshape(num, grid.num_cells)


def _random_lines(num_blocks: int, block_size: int, num: int, rng: np.random.Generator) -> np.ndarray:
    """Permutations of lines that keep blocks together, int [num, num_blocks * block_size]."""
    blocks = rng.random((num, num_blocks)).argsort(axis=1)
    within = rng.random((num, num_blocks, block_size)).argsort(axis=2)
    return (blocks[:, :, None] * block_size + within).reshape(num, -1)


def random_digit_maps(grid: Grid, num: int, rng: np.random.Generator) -> np.ndarray:
    """`num` random relabellings: new digit by old digit, blank 0 kept; int [num, size + 1]."""
    maps = np.zeros((num, grid.size + 1), np.int64)
    maps[:, 1:] = rng.random((num, grid.size)).argsort(axis=1) + 1
    return maps


def augment(
    puzzles: np.ndarray, solutions: np.ndarray, grid: Grid, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random image of each puzzle, with its solution under the same symmetry.

    Args:
        puzzles: digits [P, cells], 0 for blank.
        solutions: digits [P, cells].
        grid: the geometry.
        rng: source of the symmetries.

    Returns:
        Two int arrays [P, cells].
    """
    cell_maps = random_cell_maps(grid, len(puzzles), rng)
    digit_maps = random_digit_maps(grid, len(puzzles), rng)
    return tuple(  # type: ignore[return-value]
        np.take_along_axis(digit_maps, np.take_along_axis(grids, cell_maps, axis=1).astype(np.intp), axis=1)
        for grids in (puzzles, solutions)
    )
