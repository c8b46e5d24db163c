"""Sudoku puzzles with one solution, many at once.

Puzzle i of a seed is the same whichever puzzles are generated with it: its random numbers depend on seed and i alone.
"""

from __future__ import annotations

import numpy as np

from hrm.data.sampling import draw_random_bits
from hrm.data.sudoku.grid import Grid
from hrm.data.sudoku.solver import (
    are_solvable,
    are_solved,
    decode_states,
    encode_states,
    find_tightest_cells,
    propagate,
    select_states,
)

VERSION = 1
"""Increased when the same seed would give other puzzles; part of the cache's key."""

_FILL, _DIG = 1, 2


def generate_puzzles(
    grid: Grid, num_clues: int | None, seed: int, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Generate puzzles and solutions for those of `indices` that reach `num_clues`.

    A random grid is filled, then its cells are emptied in a random order wherever the solution stays unique,
    until `num_clues` are left. Without `num_clues` the puzzle is minimal: no clue can be removed.

    Args:
        grid: the geometry.
        num_clues: clues of every puzzle, or None for minimal ones. A grid that cannot get down to it in
            its random order gives no puzzle.
        seed: 0 or more.
        indices: ints [P], 0 or more, the puzzles' numbers under this seed.

    Returns:
        puzzles uint8 [Q, cells] with 0 for blank, and solutions uint8 [Q, cells], Q <= P, in order.
    """
    solutions = draw_solutions(grid, seed, indices)
    order = draw_random_bits(seed, _DIG, indices[None, :], np.arange(grid.num_cells)[:, None]).argsort(axis=0)
    is_clue = remove_clues(solutions, order, grid, num_clues)
    if num_clues is not None:
        reached = is_clue.sum(axis=0) == num_clues
        solutions, is_clue = solutions[:, reached], is_clue[:, reached]
    puzzles = np.where(is_clue, solutions, np.uint8(0))
    return np.ascontiguousarray(puzzles.T), np.ascontiguousarray(solutions.T)


def draw_solutions(grid: Grid, seed: int, indices: np.ndarray) -> np.ndarray:
    """Draw complete grids, uint8 [cells, P]: random digits in tightest cells, started again at a contradiction."""
    solutions = np.zeros((grid.num_cells, len(indices)), np.uint8)
    attempts = np.zeros(len(indices), np.int64)
    missing = np.arange(len(indices))
    while missing.size:
        filled, done = _fill_once(grid, seed, indices[missing], attempts[missing])
        solutions[:, missing[done]] = filled
        attempts[missing] += 1
        missing = np.delete(missing, done)
    return solutions


def _fill_once(
    grid: Grid, seed: int, indices: np.ndarray, attempts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the grids uint8 [cells, Q] of the attempts without a contradiction, and their positions int [Q]."""
    cells = np.arange(grid.num_cells)[:, None]
    draws = draw_random_bits(seed, _FILL, indices[None, :], attempts[None, :], cells)
    tie_break = (draws >> np.uint64(56)).astype(np.uint8)
    states = encode_states(np.zeros((grid.num_cells, len(indices)), np.uint8), grid)
    where = np.arange(len(indices))
    finished: list[tuple[np.ndarray, np.ndarray]] = []
    while where.size:
        columns = np.arange(where.size)
        chosen = find_tightest_cells(states, tie_break[:, where])
        states[chosen, columns] = _pick_bit(states[chosen, columns], draws[chosen, where])
        states, alive = propagate(states, grid)
        where = where[alive]
        full = are_solved(states)
        finished.append((select_states(states, full), where[full]))
        states, where = select_states(states, ~full), where[~full]
    solved = np.concatenate([part for part, _ in finished], axis=1)
    return decode_states(solved), np.concatenate([part for _, part in finished])


def _pick_bit(choices: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return one of the set bits of each of `choices` uint16 [P], by its draw."""
    skip = (draws & np.uint64(0xFFFFFFFF)) % np.bitwise_count(choices).astype(np.uint64)
    for step in range(int(skip.max(initial=0))):
        choices = np.where(skip > step, choices & (choices - 1), choices)
    return choices & (~choices + np.uint16(1))


def remove_clues(solutions: np.ndarray, order: np.ndarray, grid: Grid, num_clues: int | None) -> np.ndarray:
    """Remove clues one by one while the solution stays unique; return which cells stay clues, bool [cells, P].

    Args:
        solutions: uint8 [cells, P].
        order: the cells of each puzzle in the order in which they are tried, int [cells, P].
        grid: the geometry.
        num_clues: stop at this many; None tries every cell.
    """
    every_digit = np.uint16((1 << grid.size) - 1)
    bits = encode_states(solutions, grid)
    is_clue = np.ones(solutions.shape, bool)
    num_left = np.full(solutions.shape[1], grid.num_cells)
    working = np.arange(solutions.shape[1])
    for cells in order:
        if num_clues is not None:
            working = working[num_left[working] > num_clues]
        if not working.size:
            break
        tried = cells[working]
        states = np.where(is_clue[:, working], bits[:, working], every_digit)
        # Without this clue the puzzle has a second solution exactly if one differs in this very cell.
        states[tried, np.arange(working.size)] = every_digit ^ bits[tried, working]
        removable = ~are_solvable(states, grid)
        is_clue[tried[removable], working[removable]] = False
        num_left[working[removable]] -= 1
    return is_clue
