"""Fingerprints against all symmetries, and against exact classes where these can be found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.data.sudoku.dataset import augment, draw_cell_maps, draw_digit_maps
from hrm.data.sudoku.generator import generate_puzzles
from hrm.data.sudoku.grid import GRIDS, Grid, are_solutions, compute_class_ids

SMALL, MIDDLE, LARGE = GRIDS[16], GRIDS[36], GRIDS[81]


@pytest.fixture(scope="module")
def puzzles() -> dict[Grid, tuple[np.ndarray, np.ndarray]]:
    wanted = ((SMALL, None, 400), (MIDDLE, 14, 100), (LARGE, 35, 40))
    return {grid: generate_puzzles(grid, clues, 2, np.arange(num)) for grid, clues, num in wanted}


def _line_orders(num_blocks: int, block_size: int) -> list[list[int]]:
    within = list(itertools.permutations(range(block_size)))
    return [
        [block * block_size + line for block, lines in zip(blocks, chosen) for line in lines]
        for blocks in itertools.permutations(range(num_blocks))
        for chosen in itertools.product(within, repeat=num_blocks)
    ]


def _exact_class(puzzle: np.ndarray, grid: Grid, maps: np.ndarray) -> bytes:
    """The least image of a puzzle under all of `maps`, digits named in the order of their appearance."""
    images = []
    for image in puzzle[maps]:
        names: dict[int, int] = {0: 0}
        images.append(bytes(names.setdefault(int(digit), len(names)) for digit in image))
    return min(images)


def test_tells_exactly_the_classes_of_minimal_small_puzzles_apart() -> None:
    """There are 36 classes of minimal 4x4 puzzles."""
    lines = _line_orders(2, 2)
    straight = [[r * 4 + c for r in rows for c in cols] for rows in lines for cols in lines]
    maps = np.array(straight + [np.reshape(one, (4, 4)).T.ravel().tolist() for one in straight])
    drawn, _ = generate_puzzles(SMALL, None, 0, np.arange(4000))
    prints = compute_class_ids(drawn, SMALL)
    found, first = np.unique(prints, return_index=True)
    assert len(found) == 36
    sample = np.concatenate([first, np.arange(150)])
    exact = [_exact_class(drawn[i], SMALL, maps) for i in sample]
    assert len(set(exact)) == 36
    assert len(set(zip(exact, prints[sample].tolist()))) == 36


@pytest.mark.parametrize("grid", [SMALL, MIDDLE, LARGE])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_symmetries_leave_it_unchanged(
    grid: Grid, seed: int, puzzles: dict[Grid, tuple[np.ndarray, np.ndarray]]
) -> None:
    originals, solutions = puzzles[grid]
    images, solved = augment(originals, solutions, grid, np.random.default_rng(seed))
    assert are_solutions(solved, grid).all()
    assert ((images == 0) | (images == solved)).all()
    assert (compute_class_ids(images, grid) == compute_class_ids(originals, grid)).all()


def test_transposition_counts_only_where_boxes_are_square(
    puzzles: dict[Grid, tuple[np.ndarray, np.ndarray]],
) -> None:
    for grid, (originals, _) in puzzles.items():
        transposed = (
            originals.reshape(-1, grid.size, grid.size).transpose(0, 2, 1).reshape(len(originals), -1)
        )
        same = compute_class_ids(transposed, grid) == compute_class_ids(originals, grid)
        assert same.all() if grid.transposes else not same.any()


@pytest.mark.parametrize("grid", [MIDDLE, LARGE])
def test_different_puzzles_differ(grid: Grid, puzzles: dict[Grid, tuple[np.ndarray, np.ndarray]]) -> None:
    originals, _ = puzzles[grid]
    assert len(np.unique(compute_class_ids(originals, grid))) == len(originals)


def test_one_clue_more_or_another_digit_makes_another_puzzle(
    puzzles: dict[Grid, tuple[np.ndarray, np.ndarray]],
) -> None:
    originals, solutions = puzzles[MIDDLE]
    more = originals.copy()
    rows = np.arange(len(more))
    more[rows, (more == 0).argmax(axis=1)] = solutions[rows, (more == 0).argmax(axis=1)]
    other = originals.copy()
    cells = (other > 0).argmax(axis=1)
    other[rows, cells] = other[rows, cells] % 6 + 1
    for changed in (more, other):
        assert not (compute_class_ids(changed, MIDDLE) == compute_class_ids(originals, MIDDLE)).any()


def test_many_puzzles_have_the_fingerprints_of_each(
    puzzles: dict[Grid, tuple[np.ndarray, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    originals, _ = puzzles[LARGE]
    together = compute_class_ids(originals, LARGE)
    monkeypatch.setattr("hrm.data.sudoku.grid._BLOCK", 7)
    assert (compute_class_ids(originals, LARGE) == together).all()
    assert compute_class_ids(originals[:0], LARGE).shape == (0,)


def test_golden_fingerprint() -> None:
    """Caches hold splits that were made by fingerprints: other ones need new versions there."""
    puzzle = np.array([[1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1]])
    assert compute_class_ids(puzzle, SMALL).tolist() == [3590336500836546259]


@pytest.mark.parametrize("grid", [SMALL, MIDDLE, LARGE])
def test_symmetries_are_uniform(grid: Grid) -> None:
    """Every cell goes everywhere that the geometry allows, every digit to every digit, equally often."""
    num = 20000
    rng = np.random.default_rng(0)
    maps = draw_cell_maps(grid, num, rng)
    assert (np.sort(maps, axis=1) == np.arange(grid.num_cells)).all()
    counts = np.bincount(maps[:, 5], minlength=grid.num_cells)
    assert np.abs(counts - num / grid.num_cells).max() < 6 * np.sqrt(num / grid.num_cells)
    digits = draw_digit_maps(grid, num, rng)
    assert (digits[:, 0] == 0).all()
    assert (np.sort(digits[:, 1:], axis=1) == np.arange(1, grid.size + 1)).all()
    counts = np.bincount(digits[:, 2], minlength=grid.size + 1)[1:]
    assert np.abs(counts - num / grid.size).max() < 6 * np.sqrt(num / grid.size)


def test_small_symmetries_are_all_drawn() -> None:
    """128 of cells (8 x 8 with transposition) for 4x4, and no more."""
    maps = draw_cell_maps(SMALL, 5000, np.random.default_rng(0))
    assert len(np.unique(maps, axis=0)) == 128
