"""Generated puzzles: one solution, the wanted clues, and the same whoever makes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hrm.data.sudoku.generator import draw_solutions, generate_puzzles
from hrm.data.sudoku.grid import GRIDS, Grid, are_solutions

SMALL, MIDDLE, LARGE = GRIDS[16], GRIDS[36], GRIDS[81]
CASES = [
    (SMALL, None),
    (SMALL, 6),
    (MIDDLE, None),
    (MIDDLE, 9),
    (MIDDLE, 18),
    (LARGE, None),
    (LARGE, 26),
    (LARGE, 40),
]


def count_solutions(puzzle: np.ndarray, grid: Grid, most: int = 2) -> int:
    """Solutions up to `most`, by backtracking over sets: an oracle that shares no code with the solver."""
    cells = puzzle.reshape(grid.size, grid.size)

    def units(r: int, c: int) -> tuple[tuple[str, int, int], ...]:
        return ("row", r, 0), ("col", c, 0), ("box", r // grid.box_rows, c // grid.box_cols)

    free = {
        u: set(range(1, grid.size + 1))
        for r in range(grid.size)
        for c in range(grid.size)
        for u in units(r, c)
    }
    blanks = []
    for (r, c), digit in np.ndenumerate(cells):
        if digit:
            for unit in units(r, c):
                free[unit].remove(int(digit))
        else:
            blanks.append((r, c))

    def choices(cell: tuple[int, int]) -> set[int]:
        row, col, box = (free[unit] for unit in units(*cell))
        return row & col & box

    def search(left: list[tuple[int, int]]) -> Iterator[None]:
        if not left:
            yield
            return
        cell = min(left, key=lambda one: len(choices(one)))
        rest = [one for one in left if one != cell]
        for digit in choices(cell):
            for unit in units(*cell):
                free[unit].remove(digit)
            yield from search(rest)
            for unit in units(*cell):
                free[unit].add(digit)

    return sum(1 for _ in zip(range(most), search(blanks)))


def test_the_oracle_counts() -> None:
    solution = draw_solutions(SMALL, 0, np.arange(1))[:, 0]
    assert count_solutions(solution, SMALL) == 1
    assert count_solutions(np.zeros(16, np.uint8), SMALL, most=1000) == 288


@pytest.mark.parametrize(("grid", "num_clues"), CASES)
def test_each_puzzle_has_its_solution_and_no_other(grid: Grid, num_clues: int | None) -> None:
    puzzles, solutions = generate_puzzles(grid, num_clues, 5, np.arange(300 // grid.size**2 + 8))
    assert len(puzzles) >= 2
    assert are_solutions(solutions, grid).all()
    assert ((puzzles == 0) | (puzzles == solutions)).all()
    assert puzzles.dtype == solutions.dtype == np.uint8
    assert [count_solutions(puzzle, grid) for puzzle in puzzles] == [1] * len(puzzles)
    if num_clues is not None:
        assert ((puzzles > 0).sum(axis=1) == num_clues).all()


@pytest.mark.parametrize("grid", [SMALL, MIDDLE])
def test_no_clue_of_a_minimal_puzzle_can_be_spared(grid: Grid) -> None:
    puzzles, _ = generate_puzzles(grid, None, 6, np.arange(8))
    for puzzle in puzzles:
        for cell in np.flatnonzero(puzzle):
            less = puzzle.copy()
            less[cell] = 0
            assert count_solutions(less, grid) == 2


@pytest.mark.parametrize(("grid", "num_clues"), [(MIDDLE, 9), (MIDDLE, 18), (LARGE, 45)])
def test_a_puzzle_is_the_same_in_any_company(grid: Grid, num_clues: int) -> None:
    together, _ = generate_puzzles(grid, num_clues, 1, np.arange(40))
    parts = [generate_puzzles(grid, num_clues, 1, part)[0] for part in np.split(np.arange(40), [1, 17])]
    assert (np.concatenate(parts) == together).all()


def test_seeds_and_numbers_give_different_puzzles() -> None:
    puzzles = np.concatenate([generate_puzzles(MIDDLE, 18, seed, np.arange(50))[0] for seed in range(3)])
    assert len(np.unique(puzzles, axis=0)) == 150


def test_random_grids_spread_over_all_small_ones() -> None:
    grids = draw_solutions(SMALL, 0, np.arange(6000)).T
    distinct, counts = np.unique(grids, axis=0, return_counts=True)
    assert len(distinct) == 288
    assert counts.max() < 3 * 6000 / 288


def test_golden_puzzle() -> None:
    """Other puzzles for the same seed need a new VERSION, or caches would mix old and new."""
    puzzles, _ = generate_puzzles(MIDDLE, 18, 0, np.arange(1))
    assert "".join(map(str, puzzles[0])) == "050210000035010300040060531002460153"


def test_nobody_gives_nothing() -> None:
    puzzles, solutions = generate_puzzles(MIDDLE, 18, 0, np.arange(0))
    assert puzzles.shape == solutions.shape == (0, 36)
