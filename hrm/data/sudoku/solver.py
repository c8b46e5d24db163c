"""Sudoku states as bit masks, many at once: propagation of singles, and a search for solutions.

A state holds for each cell the digits that it may still take, bit d-1 for digit d. States are the columns of
a uint16 array [cells, P], so that each numpy operation covers all of them.
"""

from __future__ import annotations

import numpy as np

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
