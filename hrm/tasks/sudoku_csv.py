"""`task=FILE.csv` or a folder with train.csv and test.csv: 9x9 puzzles in the format of Sudoku-Extreme."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hrm.errors import DataError
from hrm.rules import at_least, check, each
from hrm.tasks import sudoku_dataset
from hrm.tasks.base import TaskKind
from hrm.tasks.cache import cached
from hrm.tasks.options import make_absolute
from hrm.tasks.splitting import ClassSplitter
from hrm.tasks.sudoku_csv_file import GRID, Progress, sample_rows
from hrm.tasks.sudoku_dataset import SPLITS, SudokuDataset
from hrm.tasks.symmetry import fingerprints

VERSION = 1
"""Goes up when the same file would be divided in another way; caches hold it."""
SPARE = 1.25
"""Rows sampled for each puzzle wanted: some equal others."""

Puzzles = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class SudokuCsvConfig:
    """Puzzles of a CSV file `source,question,answer,rating`, or of a folder with train.csv and test.csv.

    A single file is divided three ways; where it has fewer than asked, the splits shrink in proportion.

    Raises:
        ConfigError: a value is out of range.
    """

    name: str = ""
    """Path of the file or folder; made absolute, so that it holds in every process."""
    train_puzzles: int = 1000
    """Most base training puzzles, before augmentation: a random sample where there are more."""
    valid_puzzles: int = 256
    """Most validation puzzles, taken from the training file."""
    test_puzzles: int = 1000
    """Most test puzzles."""
    min_rating: int | None = None
    """Leave out puzzles rated below this (Sudoku-Extreme: backtracks of the tdoku solver)."""
    data_seed: int = 0
    """Decides which puzzles these are."""
    augment: bool = True
    """Show each training puzzle under a random symmetry each time: the official augmentations."""

    def __post_init__(self) -> None:
        check(self, RULES, "task")
        make_absolute(self, "name")

    @property
    def sizes(self) -> dict[str, int]:
        """Most puzzles of each split."""
        return {"train": self.train_puzzles, "valid": self.valid_puzzles, "test": self.test_puzzles}


RULES = (
    *each(["name"], bool, "must be the path of a CSV file or of a folder with train.csv"),
    *at_least(1, "train_puzzles", "valid_puzzles", "test_puzzles"),
    *at_least(0, "min_rating", null=""),
    *at_least(0, "data_seed"),
)


def prepare(config: SudokuCsvConfig, progress: Progress | None = None) -> Path:
    """Reads, checks and divides the puzzles on the first call. Sizes and times tell whether files changed.

    Raises:
        DataError: a file is missing or malformed, or has too few puzzles to divide.
    """
    files = _files(Path(config.name))
    stats = {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
    key = {
        "version": VERSION,
        "files": stats,
        "min_rating": config.min_rating,
        "seed": config.data_seed,
        **config.sizes,
    }

    def build(folder: Path) -> None:
        sudoku_dataset.save_splits(_divide(config, files, progress), folder)

    return cached("sudoku_csv", key, build)


def _files(path: Path) -> list[Path]:
    """The file itself; of a folder its training and its test file."""
    files = [path / "train.csv", path / "test.csv"] if path.is_dir() else [path]
    for file in files:
        if not file.is_file():
            raise DataError(
                str(file), "no such file", "task= takes a CSV file, or a folder with train.csv and test.csv"
            )
    return files


def _divide(config: SudokuCsvConfig, files: list[Path], progress: Progress | None) -> dict[str, Puzzles]:
    """The three splits, no symmetry class in two of them."""
    sizes, fixed = config.sizes, {}
    if len(files) == 2:
        fixed["test"] = sample_rows(
            files[1], sizes.pop("test"), config.min_rating, config.data_seed, progress
        )
    most = math.ceil(SPARE * sum(sizes.values()))
    puzzles, solutions = sample_rows(files[0], most, config.min_rating, config.data_seed, progress)
    prints = fingerprints(puzzles, GRID)
    fresh = ~np.isin(prints, fingerprints(fixed["test"][0], GRID)) if fixed else np.ones(len(prints), bool)
    puzzles, solutions = puzzles[fresh], solutions[fresh]
    splitter = ClassSplitter({name: min(size, max(1, len(puzzles))) for name, size in sizes.items()})
    splitter.offer(puzzles, prints[fresh])
    splits = fixed | {name: (puzzles[chosen], solutions[chosen]) for name, chosen in splitter.chosen.items()}
    for name in SPLITS:
        if not len(splits[name][0]):
            rule = "each split needs a puzzle that is no symmetry of another split's"
            raise DataError(
                config.name, f"no puzzles for {name}", rule, "Give more puzzles or lower task.min_rating"
            )
    return splits


def _counted_fields(config: SudokuCsvConfig) -> dict[str, int]:
    return sudoku_dataset.model_fields(GRID.num_cells)


SUDOKU_CSV = TaskKind(
    config_class=SudokuCsvConfig,
    family="puzzle",
    prepare=prepare,
    open=SudokuDataset,
    summary="a CSV file in the format of Sudoku-Extreme, or a folder with train.csv and test.csv",
    counted_fields=_counted_fields,
)
