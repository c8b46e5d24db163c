"""Data sets on disk, small and right, for tests to open and to spoil."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hrm.data.sudoku.generator import generate_puzzles
from hrm.data.sudoku.grid import Grid

WriteHalf = Callable[..., None]
WriteCsv = Callable[..., Path]
GRID = Grid(3, 3)


@pytest.fixture(scope="session")
def puzzles9() -> tuple[np.ndarray, np.ndarray]:
    """120 easy 9x9 puzzles and their solutions."""
    return generate_puzzles(GRID, 60, 7, np.arange(120))


@pytest.fixture(scope="session")
def write_half() -> WriteHalf:
    """Writes one half of an official directory: groups of puzzles of examples, each (inputs, labels)."""

    def write(
        folder: Path,
        inputs: np.ndarray,
        labels: np.ndarray,
        puzzle_sizes: Sequence[int],
        group_sizes: Sequence[int],
        set_name: str = "all",
        **metadata: object,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            "inputs": inputs.astype(np.uint8),
            "labels": labels.astype(np.uint8),
            "puzzle_identifiers": np.zeros(len(puzzle_sizes), np.int32),
            "puzzle_indices": np.cumsum([0, *puzzle_sizes]).astype(np.int32),
            "group_indices": np.cumsum([0, *group_sizes]).astype(np.int32),
        }
        for field, array in arrays.items():
            np.save(folder / f"{set_name}__{field}.npy", array)
        values = {
            "pad_id": 0,
            "ignore_label_id": 0,
            "blank_identifier_id": 0,
            "vocab_size": 11,
            "seq_len": inputs.shape[1],
            "num_puzzle_identifiers": 1,
            "total_groups": len(group_sizes),
            "mean_puzzle_examples": 1,
            "sets": [set_name],
        }
        (folder / "dataset.json").write_text(json.dumps(values | metadata))

    return write


@pytest.fixture(scope="session")
def write_sudoku_directory(
    write_half: WriteHalf, puzzles9: tuple[np.ndarray, np.ndarray]
) -> Callable[[Path], Path]:
    """Writes 60 groups of one or two puzzles to train on and 30 test puzzles, in the official format."""

    def write(folder: Path) -> Path:
        puzzles, solutions = puzzles9
        write_half(folder / "train", puzzles[:90] + 1, solutions[:90] + 1, [1] * 90, [1, 2] * 30)
        write_half(folder / "test", puzzles[90:] + 1, solutions[90:] + 1, [1] * 30, [1] * 30)
        return folder

    return write


@pytest.fixture(scope="session")
def write_arc_directory(write_half: WriteHalf) -> Callable[[Path], Path]:
    """Writes puzzles of two to four examples with identifiers and ignored labels: no Sudoku, 12 tokens."""

    def write(folder: Path) -> Path:
        rng = np.random.default_rng(3)
        for half, puzzle_sizes, group_sizes in (
            ("train", [2, 3, 2, 4, 2, 3, 2, 2], [2, 1, 3, 2]),
            ("test", [1, 2], [1, 1]),
        ):
            num = sum(puzzle_sizes)
            inputs, labels = rng.integers(0, 12, (2, num, 20))
            # Each example names its puzzle, so that a test can tell where it came from.
            inputs[:, 0] = np.repeat(np.arange(len(puzzle_sizes)), puzzle_sizes)
            write_half(
                folder / half,
                inputs,
                labels,
                puzzle_sizes,
                group_sizes,
                vocab_size=12,
                num_puzzle_identifiers=9,
            )
            identifiers = np.arange(1, 1 + len(puzzle_sizes), dtype=np.int32)
            np.save(folder / half / "all__puzzle_identifiers.npy", identifiers)
        return folder

    return write


@pytest.fixture(scope="session")
def write_csv() -> WriteCsv:
    """Writes puzzles and solutions (digits) as Sudoku-Extreme does; ratings are 0, 1, 2, 0, 1, 2, ..."""

    def write(path: Path, puzzles: np.ndarray, solutions: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["source", "question", "answer", "rating"])
            for number, (puzzle, solution) in enumerate(zip(puzzles, solutions)):
                question = "".join(map(str, puzzle)).replace("0", ".")
                writer.writerow(["own", question, "".join(map(str, solution)), number % 3])
        return path

    return write
