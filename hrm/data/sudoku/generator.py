"""Sudoku puzzles with one solution, many at once.

Puzzle i of a seed is the same whichever puzzles are generated with it: its random numbers depend on seed and i alone.

A state holds for each cell the digits that it may still take as a bit mask, bit d-1 for digit d. States are the
columns of a uint16 array [cells, P], so that each numpy operation covers all of them.
"""

from __future__ import annotations

import numpy as np

from hrm.data.sampling import draw_random_bits
from hrm.data.sudoku.grid import Grid

MAX_STATES = 8192
"""Most states searched at once; limits memory, not results."""


def encode_states(digits: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the states of `digits` [cells, P] (0 is blank): a clue's own bit, every digit where blank."""
    every_digit = (1 << grid.size) - 1
    clue = np.left_shift(1, np.maximum(digits, 1).astype(np.uint16) - 1)
    return np.where(digits == 0, every_digit, clue).astype(np.uint16)


def decode_states(bits: np.ndarray) -> np.ndarray:
    """Return the digits uint8 of solved states, of any shape."""
    return np.bitwise_count(bits - 1).astype(np.uint8) + 1


def is_single(bits: np.ndarray) -> np.ndarray:
    """Check where at most one digit is left: exactly one, in a state that is not contradictory."""
    return (bits & (bits - 1)) == 0


def are_solved(states: np.ndarray) -> np.ndarray:
    """Check for each state that is not contradictory that every cell has one digit left; bool [P]."""
    return np.asarray(is_single(states).all(axis=0))


def select_states(states: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the states where `kept` bool [P] is true; contiguous, unlike a result of indexing the last axis."""
    return np.compress(kept, states, axis=1)


def propagate(states: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Place naked and hidden singles until nothing changes.

    Args:
        states: uint16 [cells, P].
        grid: the geometry.

    Returns:
        The states that are not contradictory, at their fixed point, uint16 [cells, Q]; and their positions
        among the P, ascending.
    """
    at_rest: list[tuple[np.ndarray, np.ndarray]] = []
    where = np.arange(states.shape[1])
    while where.size:
        after, dead = _place_singles(states, grid)
        moved = (after != states).any(axis=0)
        rests = ~dead & ~moved
        if rests.any():
            at_rest.append((select_states(after, rests), where[rests]))
        moving = ~dead & moved
        states, where = select_states(after, moving), where[moving]
    if not at_rest:
        return states, where
    positions = np.concatenate([part for _, part in at_rest])
    order = np.argsort(positions)
    return np.take(np.concatenate([part for part, _ in at_rest], axis=1), order, axis=1), positions[order]


def _place_singles(states: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Place singles in one pass over all units; return the new states, and which of them are contradictory."""
    every_digit = np.uint16((1 << grid.size) - 1)
    single = is_single(states)
    placed = np.where(single, states, np.uint16(0))
    seen, seen_twice = _collect_digits(states[grid.units.T])
    settled, clash = _collect_digits(placed[grid.units.T])
    fault = np.bitwise_or.reduce(clash | (seen ^ every_digit), axis=0)
    taken = np.bitwise_or.reduce(settled[grid.units_of], axis=0)
    hidden = np.bitwise_or.reduce((seen & ~seen_twice)[grid.units_of], axis=0)
    after = np.where(single, states, states & ~taken)
    hidden &= after
    after = np.where(hidden, hidden, after)
    return after, (fault != 0) | (after == 0).any(axis=0)


def _collect_digits(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits that at least one, and at least two, of each unit's `members` [size, units, P] may hold."""
    once, twice = members[0].copy(), np.zeros_like(members[0])
    for member in members[1:]:
        twice |= once & member
        once |= member
    return once, twice


def find_tightest_cells(states: np.ndarray, tie_break: np.ndarray | None = None) -> np.ndarray:
    """Return for each state an open cell with the fewest digits left, int [P].

    Args:
        states: uint16 [cells, P], each with an open cell.
        tie_break: uint8 [cells, P]; among equals the lowest wins, then the first cell.
    """
    left = np.bitwise_count(states).astype(np.uint16)
    rank = np.where(left > 1, left, np.uint16(255)) << 8
    if tie_break is not None:
        rank |= tie_break
    return rank.argmin(axis=0)


def are_solvable(states: np.ndarray, grid: Grid) -> np.ndarray:
    """Check for each state whether it can be completed; bool [P]."""
    found = np.zeros(states.shape[1], bool)
    pending = [(states, np.arange(states.shape[1]))]
    while pending:
        states, owners = pending.pop()
        open_question = ~found[owners]
        states, owners = select_states(states, open_question), owners[open_question]
        if owners.size > MAX_STATES:
            pending.append((states[:, MAX_STATES:], owners[MAX_STATES:]))
            states, owners = states[:, :MAX_STATES], owners[:MAX_STATES]
        states, alive = propagate(states, grid)
        owners = owners[alive]
        solved = are_solved(states)
        found[owners[solved]] = True
        stuck = ~solved
        if stuck.any():
            pending.append(_branch(select_states(states, stuck), owners[stuck]))
    return found


def _branch(states: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two states for each: a tightest cell takes its lowest digit, or does not."""
    columns = np.arange(owners.size)
    cells = find_tightest_cells(states)
    choices = states[cells, columns]
    lowest = choices & (~choices + np.uint16(1))
    taken, refused = states.copy(), states.copy()
    taken[cells, columns] = lowest
    refused[cells, columns] = choices ^ lowest
    return np.concatenate([taken, refused], axis=1), np.concatenate([owners, owners])


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
