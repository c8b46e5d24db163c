"""Sudoku puzzles on disk and in batches, augmented on the fly; shared by generated and imported sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hrm.data.base import Batch, Dataset, Split
from hrm.data.cache import compute_fingerprint
from hrm.data.sampling import create_step_generator, shuffle_epoch, take_from_epochs
from hrm.data.sudoku.grid import GRIDS, Grid


def draw_cell_maps(grid: Grid, num: int, rng: np.random.Generator) -> np.ndarray:
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


def draw_digit_maps(grid: Grid, num: int, rng: np.random.Generator) -> np.ndarray:
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
    cell_maps = draw_cell_maps(grid, len(puzzles), rng)
    digit_maps = draw_digit_maps(grid, len(puzzles), rng)
    return tuple(  # type: ignore[return-value]
        np.take_along_axis(digit_maps, np.take_along_axis(grids, cell_maps, axis=1).astype(np.intp), axis=1)
        for grids in (puzzles, solutions)
    )


VOCAB_SIZE = 11
"""PAD 0, blank 1, digit d is token d + 1; the same for every grid."""
BLANK_TOKEN = 1
SPLITS = ("train", "valid", "test")


def get_model_fields(num_cells: int) -> dict[str, int]:
    """What puzzles of that many cells decide of a model."""
    return {"vocab_size": VOCAB_SIZE, "seq_len": num_cells, "num_puzzle_identifiers": 1}


def save_splits(splits: Mapping[str, tuple[np.ndarray, np.ndarray]], folder: Path) -> None:
    """Writes puzzles and solutions (digits [N, cells]) of each of `SPLITS` as tokens."""
    for name in SPLITS:
        for field, grids in zip(("inputs", "labels"), splits[name]):
            # Training tokens are converted batch by batch, the others are read as they lie.
            tokens = (grids + 1).astype(np.uint8 if name == "train" else np.int32)
            np.save(folder / f"{name}_{field}.npy", tokens)


class SudokuDataset(Dataset):
    """A set that `save_splits` wrote.

    Args:
        config: has `name` and `augment`: whether each training puzzle is seen under a random symmetry.
        folder: where it was written.
        supports_verdict: False for smoke tests.
    """

    def __init__(self, config: Any, folder: Path, supports_verdict: bool = True) -> None:
        self.config, self.folder, self.supports_verdict = config, folder, supports_verdict
        self.name = config.name
        self._inputs, self._labels = _load(folder, "train")
        self.valid, self.test = (_split(folder, name) for name in ("valid", "test"))
        self.grid = GRIDS[self._inputs.shape[1]]
        self.model_fields = get_model_fields(self.grid.num_cells)
        self.fingerprint = compute_fingerprint(folder)

    @property
    def num_train(self) -> int:
        """Base training puzzles, before augmentation."""
        return len(self._inputs)

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        chosen = take_from_epochs(
            step, batch_size, self.num_train, lambda epoch: shuffle_epoch(seed, epoch, self.num_train)
        )
        inputs, labels = self._inputs[chosen], self._labels[chosen]
        if self.config.augment:
            puzzles, solutions = augment(inputs - 1, labels - 1, self.grid, create_step_generator(seed, step))
            inputs, labels = puzzles + 1, solutions + 1
        return {
            "inputs": inputs.astype(np.int32),
            "labels": labels.astype(np.int32),
            "puzzle_identifiers": np.zeros(batch_size, np.int32),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder, self.supports_verdict)


def _load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    inputs, labels = (
        np.load(folder / f"{name}_{field}.npy", mmap_mode="r") for field in ("inputs", "labels")
    )
    return inputs, labels


def _split(folder: Path, name: str) -> Split:
    inputs, labels = _load(folder, name)
    return Split(inputs, labels, np.zeros(len(inputs), np.int32), blank_token=BLANK_TOKEN)
