"""Sudoku puzzles on disk and in batches, with random symmetries; for generated and for imported sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hrm.data.base import Batch, Dataset, Split, load_split, save_split
from hrm.data.cache import compute_fingerprint
from hrm.data.sampling import create_step_generator, shuffle_epoch, take_from_epochs
from hrm.data.sudoku.grid import GRIDS, Grid

VOCAB_SIZE = 11
"""PAD 0, blank 1, digit d is token d + 1; the same for every grid."""
BLANK_TOKEN = 1
SPLITS = ("train", "valid", "test")

Puzzles = tuple[np.ndarray, np.ndarray]
"""Puzzles and their solutions, digits [N, cells], 0 for blank."""


def draw_cell_maps(grid: Grid, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `num` random symmetries: the cell that each cell takes its content from, int [num, cells].

    Permutes bands, rows within bands, stacks and columns within stacks, and transposes with probability 1/2 where
    boxes are square. Each is uniform over the symmetries of the grid's geometry.
    """
    rows = _permute_lines(grid.num_bands, grid.box_rows, num, rng)[:, :, None]
    cols = _permute_lines(grid.num_stacks, grid.box_cols, num, rng)[:, None, :]
    maps = rows * grid.size + cols
    if grid.transposes:
        transposed = rng.random(num) < 0.5
        maps = np.where(transposed[:, None, None], rows + cols * grid.size, maps)
    return maps.reshape(num, grid.num_cells)


def _permute_lines(num_blocks: int, block_size: int, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draw permutations of lines that keep blocks together, int [num, num_blocks * block_size]."""
    blocks = rng.random((num, num_blocks)).argsort(axis=1)
    within = rng.random((num, num_blocks, block_size)).argsort(axis=2)
    return (blocks[:, :, None] * block_size + within).reshape(num, -1)


def draw_digit_maps(grid: Grid, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `num` random relabellings: new digit by old digit, blank 0 kept; int [num, size + 1]."""
    maps = np.zeros((num, grid.size + 1), np.int64)
    maps[:, 1:] = rng.random((num, grid.size)).argsort(axis=1) + 1
    return maps


def augment(puzzles: np.ndarray, solutions: np.ndarray, grid: Grid, rng: np.random.Generator) -> Puzzles:
    """Return a random image of each puzzle, with its solution under the same symmetry.

    Args:
        puzzles: digits [P, cells], 0 for blank.
        solutions: digits [P, cells].
        grid: the geometry.
        rng: source of the symmetries.
    """
    cell_maps = draw_cell_maps(grid, len(puzzles), rng)
    digit_maps = draw_digit_maps(grid, len(puzzles), rng)

    def move(grids: np.ndarray) -> np.ndarray:
        moved = np.take_along_axis(grids, cell_maps, axis=1)
        return np.take_along_axis(digit_maps, moved.astype(np.intp), axis=1)

    return move(puzzles), move(solutions)


def get_model_fields(num_cells: int) -> dict[str, int]:
    """Return the fields of a model for puzzles of that many cells."""
    return {"vocab_size": VOCAB_SIZE, "seq_len": num_cells, "num_puzzle_identifiers": 1}


def save_splits(splits: Mapping[str, Puzzles], folder: Path) -> None:
    """Write puzzles and solutions of each of `SPLITS` as tokens."""
    for name in SPLITS:
        # Training tokens are converted batch by batch, the others are used as they are on disk.
        dtype = np.uint8 if name == "train" else np.int32
        inputs, labels = ((grids + 1).astype(dtype) for grids in splits[name])
        save_split(folder, name, inputs=inputs, labels=labels)


class SudokuDataset(Dataset):
    """A set that `save_splits` wrote.

    Args:
        config: has `name` and `augment`: whether each training puzzle is seen under a random symmetry.
        folder: of the set.
        supports_verdict: False for smoke tests.
    """

    def __init__(self, config: Any, folder: Path, supports_verdict: bool = True) -> None:
        self.config, self.folder, self.supports_verdict = config, folder, supports_verdict
        self.name = config.name
        self._train = load_split(folder, "train")
        self.valid, self.test = (_load_evaluation_split(folder, name) for name in SPLITS[1:])
        self.grid = GRIDS[self._train.inputs.shape[1]]
        self.model_fields = get_model_fields(self.grid.num_cells)
        self.fingerprint = compute_fingerprint(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder, self.supports_verdict)

    @property
    def num_train(self) -> int:
        """Base training puzzles, before augmentation."""
        return len(self._train)

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        chosen = take_from_epochs(
            step, batch_size, self.num_train, lambda epoch: shuffle_epoch(seed, epoch, self.num_train)
        )
        inputs, labels = self._train.inputs[chosen], self._train.labels[chosen]
        if self.config.augment:
            puzzles, solutions = augment(inputs - 1, labels - 1, self.grid, create_step_generator(seed, step))
            inputs, labels = puzzles + 1, solutions + 1
        return {
            "inputs": inputs.astype(np.int32),
            "labels": labels.astype(np.int32),
            "puzzle_identifiers": np.zeros(batch_size, np.int32),
        }


def _load_evaluation_split(folder: Path, name: str) -> Split:
    split = load_split(folder, name, blank_token=BLANK_TOKEN)
    return dataclasses.replace(split, puzzle_identifiers=np.zeros(len(split), np.int32))
