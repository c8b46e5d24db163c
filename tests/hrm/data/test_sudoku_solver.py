"""The batched solver against plain backtracking."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.data.sudoku import generator
from hrm.data.sudoku.generator import are_solvable, decode_states, draw_solutions, encode_states, propagate
from hrm.data.sudoku.grid import Grid, are_solutions

SMALL = Grid(2, 2)


def all_solutions(puzzle: list[int], grid: Grid) -> list[list[int]]:
    """Every completion, by trying each digit in the first blank: slow, and too plain to be wrong."""
    if 0 not in puzzle:
        return [puzzle]
    cell = puzzle.index(0)
    row, col = divmod(cell, grid.size)
    taken = {
        puzzle[r * grid.size + c]
        for r, c in itertools.product(range(grid.size), repeat=2)
        if r == row
        or c == col
        or (r // grid.box_rows == row // grid.box_rows and c // grid.box_cols == col // grid.box_cols)
    }
    free = set(range(1, grid.size + 1)) - taken
    return [
        solution for d in free for solution in all_solutions([*puzzle[:cell], d, *puzzle[cell + 1 :]], grid)
    ]


ALL_SMALL = np.array(all_solutions([0] * 16, SMALL))


def _states(puzzles: np.ndarray, grid: Grid) -> np.ndarray:
    return encode_states(puzzles.T, grid)


def test_there_are_288_small_grids() -> None:
    assert len(ALL_SMALL) == 288


def test_are_solutions_knows_exactly_the_small_grids() -> None:
    rng = np.random.default_rng(0)
    spoiled = ALL_SMALL.copy()
    cells = rng.integers(0, 16, len(spoiled))
    spoiled[np.arange(len(spoiled)), cells] = rng.integers(0, 7, len(spoiled))
    known = {tuple(grid) for grid in ALL_SMALL}
    assert are_solutions(ALL_SMALL, SMALL).all()
    assert are_solutions(spoiled, SMALL).tolist() == [tuple(grid) in known for grid in spoiled]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=16, max_size=16), min_size=1, max_size=8))
def test_arbitrary_clues_have_a_solution_when_a_grid_keeps_them(puzzles: list[list[int]]) -> None:
    given_clues = np.array(puzzles, np.uint8)
    kept = (given_clues[:, None] == 0) | (given_clues[:, None] == ALL_SMALL)
    assert are_solvable(_states(given_clues, SMALL), SMALL).tolist() == kept.all(axis=2).any(axis=1).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 287), st.integers(0, 2**16 - 1), st.integers(0, 15), st.integers(1, 4))
def test_clues_of_a_grid_with_one_changed(number: int, blanks: int, cell: int, digit: int) -> None:
    puzzle = np.where([blanks >> i & 1 for i in range(16)], 0, ALL_SMALL[number]).astype(np.uint8)
    puzzle[cell] = digit
    solutions = all_solutions(puzzle.tolist(), SMALL)
    # Plain backtracking does not compare clues with each other.
    possible = any(are_solutions(np.array([solution]), SMALL)[0] for solution in solutions)
    assert are_solvable(_states(puzzle[None], SMALL), SMALL).tolist() == [possible]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 287), st.integers(0, 2**16 - 1))
def test_propagation_removes_no_solution(number: int, blanks: int) -> None:
    puzzle = np.where([blanks >> i & 1 for i in range(16)], 0, ALL_SMALL[number]).astype(np.uint8)
    states, alive = propagate(_states(puzzle[None], SMALL), SMALL)
    assert alive.tolist() == [0]
    possible = np.bitwise_or.reduce([1 << (np.array(s) - 1) for s in all_solutions(puzzle.tolist(), SMALL)])
    assert (possible & ~states[:, 0] == 0).all()


def test_propagation_drops_contradictions_and_says_who_is_left() -> None:
    whole = ALL_SMALL[0].astype(np.uint8)
    twice = whole.copy()
    twice[0] = twice[1]
    states, alive = propagate(_states(np.array([twice, whole, twice, whole]), SMALL), SMALL)
    assert alive.tolist() == [1, 3]
    assert (whole == decode_states(states).T).all()


def test_a_narrow_search_finds_what_a_wide_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    grid = Grid(2, 3)
    puzzles = draw_solutions(grid, 0, np.arange(200)).T * (rng.random((200, 36)) < 0.25)
    changed = np.arange(200), rng.integers(0, 36, 200)
    puzzles[changed] = rng.integers(1, 7, 200)
    states = _states(puzzles, grid)
    wide = are_solvable(states, grid)
    monkeypatch.setattr(generator, "MAX_STATES", 3)
    assert 0 < wide.sum() < len(wide)
    assert (are_solvable(states, grid) == wide).all()
