"""Sudoku states as bit masks, many at once: propagation of singles, and a search for solutions.

A state holds for each cell the digits that it may still take, bit d-1 for digit d. States lie along the last
axis of a uint16 array [size, size, P], so that each numpy operation runs over all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hrm.tasks.grid import Grid

WIDEST = 8192
"""Most states searched at once; bounds memory, not results."""


def to_bits(digits: np.ndarray, grid: Grid) -> np.ndarray:
    """States of `digits` [size, size, P] (0 is blank): a clue's own bit, every digit where blank."""
    every_digit = (1 << grid.size) - 1
    clue = np.left_shift(1, np.maximum(digits, 1).astype(np.uint16) - 1)
    return np.where(digits == 0, every_digit, clue).astype(np.uint16)


def to_digits(bits: np.ndarray) -> np.ndarray:
    """Digits uint8 of solved states, of any shape."""
    return np.bitwise_count(bits - 1).astype(np.uint8) + 1


def is_single(bits: np.ndarray) -> np.ndarray:
    """Where exactly one digit is left; an empty cell counts as well, and is caught as dead elsewhere."""
    return (bits & (bits - 1)) == 0


def are_solved(states: np.ndarray) -> np.ndarray:
    """Whether each state that is not contradictory has one digit left in every cell; bool [P]."""
    return np.asarray(is_single(states).all(axis=(0, 1)))


def select(states: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The states where `kept` bool [P] holds. Contiguous, as indexing the last axis would not be."""
    return np.compress(kept, states, axis=2)


def propagate(states: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Places naked and hidden singles until nothing changes.

    Args:
        states: uint16 [size, size, P].

    Returns:
        The states that are not contradictory, at their fixed point, uint16 [size, size, Q]; and their
        positions among the P, ascending.
    """
    at_rest: list[tuple[np.ndarray, np.ndarray]] = []
    where = np.arange(states.shape[2])
    while where.size:
        after, dead = _place_singles(states, grid)
        moved = (after != states).any(axis=(0, 1))
        rests = ~dead & ~moved
        if rests.any():
            at_rest.append((select(after, rests), where[rests]))
        moving = ~dead & moved
        states, where = select(after, moving), where[moving]
    if not at_rest:
        return states, where
    positions = np.concatenate([part for _, part in at_rest])
    order = np.argsort(positions)
    return np.take(np.concatenate([part for part, _ in at_rest], axis=2), order, axis=2), positions[order]


def _place_singles(states: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """One pass over all units: the new states, and which of them are contradictory."""
    every_digit = np.uint16((1 << grid.size) - 1)
    single = is_single(states)
    singles = np.where(single, states, np.uint16(0))
    taken, hidden = np.zeros(states.shape, np.uint16), np.zeros(states.shape, np.uint16)
    fault = np.zeros(states.shape[2], np.uint16)
    views = (grid.units(array) for array in (states, singles, taken, hidden))
    for (candidates, axes), (placed, _), (taken_view, _), (hidden_view, _) in zip(*views):
        seen, twice = _once_and_twice(_members(candidates, axes))
        settled, clash = _once_and_twice(_members(placed, axes))
        fault |= np.bitwise_or.reduce(clash | (seen ^ every_digit), axis=tuple(range(clash.ndim - 1)))
        taken_view |= np.expand_dims(settled, axes)
        hidden_view |= np.expand_dims(seen & ~twice, axes)
    after = np.where(single, states, states & ~taken)
    hidden &= after
    after = np.where(hidden, hidden, after)
    return after, (fault != 0) | (after == 0).any(axis=(0, 1))


def _members(view: np.ndarray, axes: tuple[int, ...]) -> Iterable[np.ndarray]:
    """The cells of each unit, one after the other, as views over all units."""
    for index in np.ndindex(*(view.shape[axis] for axis in axes)):
        key: list[int | slice] = [slice(None)] * view.ndim
        for axis, position in zip(axes, index):
            key[axis] = position
        yield view[tuple(key)]


def _once_and_twice(members: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Digits that at least one member has, and those that at least two have."""
    first, *others = members
    once, twice = first.copy(), np.zeros_like(first)
    for member in others:
        twice |= once & member
        once |= member
    return once, twice


def tightest_cells(states: np.ndarray, tie_break: np.ndarray | None = None) -> np.ndarray:
    """For each stuck state the flat index of an open cell with the fewest digits left, int [P].

    Args:
        states: uint16 [size, size, P], each with an open cell.
        tie_break: uint8 [size * size, P]; among equals the lowest wins, then the first cell.
    """
    flat = states.reshape(-1, states.shape[2])
    left = np.bitwise_count(flat).astype(np.uint16)
    rank = np.where(left > 1, left, np.uint16(255)) << 8
    if tie_break is not None:
        rank |= tie_break
    return rank.argmin(axis=0)


def have_solution(states: np.ndarray, grid: Grid) -> np.ndarray:
    """Whether each state can be completed; bool [P]."""
    found = np.zeros(states.shape[2], bool)
    pending = [(states, np.arange(states.shape[2]))]
    while pending:
        states, owners = pending.pop()
        open_question = ~found[owners]
        states, owners = select(states, open_question), owners[open_question]
        if owners.size > WIDEST:
            pending.append((states[:, :, WIDEST:], owners[WIDEST:]))
            states, owners = states[:, :, :WIDEST], owners[:WIDEST]
        states, alive = propagate(states, grid)
        owners = owners[alive]
        solved = are_solved(states)
        found[owners[solved]] = True
        stuck = ~solved
        if stuck.any():
            pending.append(_branch(select(states, stuck), owners[stuck]))
    return found


def _branch(states: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two states for each: a tightest cell takes its lowest digit, or does not."""
    flat = states.reshape(-1, states.shape[2])
    columns = np.arange(flat.shape[1])
    cells = tightest_cells(states)
    choices = flat[cells, columns]
    lowest = choices & (~choices + np.uint16(1))
    taken, refused = flat.copy(), flat.copy()
    taken[cells, columns] = lowest
    refused[cells, columns] = choices ^ lowest
    both = np.concatenate([taken, refused], axis=1)
    return both.reshape(*states.shape[:2], -1), np.concatenate([owners, owners])
