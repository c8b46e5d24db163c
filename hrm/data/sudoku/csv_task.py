"""`task=FILE.csv`: puzzles in the format of Sudoku-Extreme, `source,question,answer,rating`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from hrm.config.errors import DataError
from hrm.config.validation import at_least, check, each
from hrm.data.base import Dataset, Progress, TaskConfig, make_absolute
from hrm.data.cache import describe_files, get_or_build
from hrm.data.sampling import draw_random_bits
from hrm.data.sudoku.dataset import SPLITS, Puzzles, SudokuDataset, get_model_fields, save_splits
from hrm.data.sudoku.grid import ClassSplitter, Grid, are_solutions, compute_class_ids

VERSION = 1
"""Increased when the same file would be divided in another way; part of the cache's key."""
GRID = Grid(3, 3)
HEADER = ["source", "question", "answer", "rating"]
BLOCK_ROWS = 16384
SPARE = 1.25
"""Rows sampled for each puzzle wanted: some are equal to others."""
_UNREADABLE = 255
_DIGITS = np.full(256, _UNREADABLE, np.uint8)
_DIGITS[ord(".")] = 0
_DIGITS[ord("0") : ord("9") + 1] = np.arange(10)


@dataclass(frozen=True, kw_only=True)
class SudokuCsvConfig(TaskConfig):
    """Puzzles of a CSV file `source,question,answer,rating`, or of a folder with train.csv and test.csv.

    A single file is divided three ways; where it has fewer than asked, the splits shrink in proportion.

    Raises:
        ConfigError: a value is out of range.
    """

    summary: ClassVar[str] = (
        "a CSV file in the format of Sudoku-Extreme, or a folder with train.csv and test.csv"
    )

    train_puzzles: int = 1000
    """Most base training puzzles, before augmentation; a random sample if there are more."""
    valid_puzzles: int = 256
    """Most validation puzzles, taken from the training file."""
    test_puzzles: int = 1000
    """Most test puzzles."""
    min_rating: int | None = None
    """Leave out puzzles rated below this (Sudoku-Extreme: backtracks of the tdoku solver)."""
    data_seed: int = 0
    """Determines which puzzles these are."""
    augment: bool = True
    """Show each training puzzle under a random symmetry each time: the official augmentations."""

    def __post_init__(self) -> None:
        check(self, RULES, "task")
        make_absolute(self, "name")

    @property
    def sizes(self) -> dict[str, int]:
        """Most puzzles of each split."""
        return {"train": self.train_puzzles, "valid": self.valid_puzzles, "test": self.test_puzzles}

    def prepare(self, progress: Progress | None = None) -> Path:
        """Read, check and divide the puzzles on the first call.

        Raises:
            DataError: a file is missing or malformed, or has too few puzzles to divide.
        """
        path = Path(self.name)
        files = [path / "train.csv", path / "test.csv"] if path.is_dir() else [path]
        for file in files:
            if not file.is_file():
                rule = "task= takes a CSV file, or a folder with train.csv and test.csv"
                raise DataError(str(file), "no such file", rule)
        key = {
            "version": VERSION,
            "files": describe_files(files),
            "min_rating": self.min_rating,
            "seed": self.data_seed,
            **self.sizes,
        }
        return get_or_build(
            "sudoku_csv", key, lambda folder: save_splits(_divide(self, files, progress), folder)
        )

    def open(self, folder: Path) -> Dataset:
        return SudokuDataset(self, folder)

    def get_model_fields(self) -> dict[str, int]:
        return get_model_fields(GRID.num_cells)


RULES = (
    *each(["name"], bool, "must be the path of a CSV file or of a folder with train.csv"),
    *at_least(1, "train_puzzles", "valid_puzzles", "test_puzzles"),
    *at_least(0, "min_rating", null=""),
    *at_least(0, "data_seed"),
)


def _divide(config: SudokuCsvConfig, files: list[Path], progress: Progress | None) -> dict[str, Puzzles]:
    """Return the three splits, no symmetry class in two of them."""
    sizes, splits, test_classes = config.sizes, {}, np.zeros(0, np.uint64)
    options = (config.min_rating, config.data_seed, progress)
    if len(files) == 2:
        splits["test"] = sample_rows(files[1], sizes.pop("test"), *options)
        test_classes = compute_class_ids(splits["test"][0], GRID)
    puzzles, solutions = sample_rows(files[0], math.ceil(SPARE * sum(sizes.values())), *options)
    class_ids = compute_class_ids(puzzles, GRID)
    fresh = ~np.isin(class_ids, test_classes)
    puzzles, solutions = puzzles[fresh], solutions[fresh]
    splitter = ClassSplitter({name: min(size, max(1, len(puzzles))) for name, size in sizes.items()})
    splitter.offer(puzzles, class_ids[fresh])
    splits |= {name: (puzzles[chosen], solutions[chosen]) for name, chosen in splitter.chosen.items()}
    for name in SPLITS:
        if not len(splits[name][0]):
            rule = "each split needs a puzzle that is no symmetry of another split's"
            hint = "Give more puzzles or lower task.min_rating"
            raise DataError(config.name, f"no puzzles for {name}", rule, hint)
    return splits


class _Row(NamedTuple):
    line: int
    """Where it ended in the file."""
    question: str
    answer: str
    rating: int


def sample_rows(
    path: Path, most: int, min_rating: int | None, seed: int, progress: Progress | None = None
) -> Puzzles:
    """Return a random sample of a file's puzzles, in a random order. Every row is checked, sampled or not.

    The memory grows with the sample, not with the file.

    Args:
        path: the file.
        most: size of the sample; smaller files are taken whole.
        min_rating: rows rated below it are left out.
        seed: decides sample and order.
        progress: called with bytes read and in all.

    Returns:
        puzzles uint8 [N, 81] with 0 for blank, and solutions uint8 [N, 81].

    Raises:
        DataError: the file is missing or a line breaks a rule.
    """
    kept: list[tuple[np.ndarray, ...]] = []
    num_rows = 0
    for rows in _read_blocks(path, progress):
        puzzles, solutions = _parse_rows(rows, path)
        ranks = draw_random_bits(seed, np.arange(num_rows, num_rows + len(rows)))
        num_rows += len(rows)
        wanted = np.array([row.rating for row in rows]) >= (min_rating or 0)
        kept.append((ranks[wanted], puzzles[wanted], solutions[wanted]))
        if sum(len(part[0]) for part in kept) > 2 * most:
            kept = [_take_lowest(kept, most)]
    if not kept:
        raise DataError(str(path), "no puzzles", "must hold at least one line below the header")
    _, puzzles, solutions = _take_lowest(kept, most)
    return puzzles, solutions


def _take_lowest(parts: list[tuple[np.ndarray, ...]], most: int) -> tuple[np.ndarray, ...]:
    """Return the `most` puzzles of lowest rank, by rank: ranks uint64 [N], puzzles and solutions uint8 [N, 81]."""
    arrays = [np.concatenate(part) for part in zip(*parts)]
    lowest = np.argsort(arrays[0])[:most]
    return tuple(array[lowest] for array in arrays)


def _read_blocks(path: Path, progress: Progress | None) -> Iterator[list[_Row]]:
    """Yield the file's rows, BLOCK_ROWS at a time, with lengths and ratings checked."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("rb") as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if header != HEADER:
                raise DataError(f"{path}, line 1", ",".join(header), f"must be the header {','.join(HEADER)}")
            rows = (_check_row(row, path, reader.line_num) for row in reader)
            while block := list(islice(rows, BLOCK_ROWS)):
                yield block
                if progress:
                    progress(raw.tell(), size)
    except FileNotFoundError:
        raise DataError(str(path), "no such file", "must be a CSV file", "Check the path of task=") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(str(path), str(error), "must be a readable CSV file in UTF-8") from None


def _check_row(row: list[str], path: Path, line: int) -> _Row:
    where = f"{path}, line {line}"
    if len(row) != len(HEADER):
        rule = f"a line must have {len(HEADER)}: {','.join(HEADER)}"
        raise DataError(where, f"{len(row)} fields", rule)
    _, question, answer, rating = row
    for name, text in (("question", question), ("answer", answer)):
        if len(text) != GRID.num_cells:
            raise DataError(where, f"{name} of {len(text)} characters", f"it must have {GRID.num_cells}")
    if not rating.isdecimal():
        raise DataError(where, f"rating {rating!r}", "it must be an integer, 0 or more")
    return _Row(line, question, answer, int(rating))


def _parse_rows(rows: list[_Row], path: Path) -> Puzzles:
    """Return the digits uint8 [rows, 81] of questions and answers, checked against each other."""
    questions, answers = [row.question for row in rows], [row.answer for row in rows]
    puzzles, solutions = _parse_digits(questions), _parse_digits(answers)

    def require(holds: np.ndarray, texts: list[str], rule: str) -> None:
        if not holds.all():
            first = int(np.argmin(holds))
            raise DataError(f"{path}, line {rows[first].line}", texts[first], rule)

    is_readable = (puzzles != _UNREADABLE).all(axis=1)
    require(is_readable, questions, "a question holds digits, and . or 0 for blank")
    rule = "an answer holds 1 to 9 once in each row, column and box"
    require(are_solutions(solutions, GRID), answers, rule)
    agrees = ((puzzles == 0) | (puzzles == solutions)).all(axis=1)
    require(agrees, answers, "the answer must keep the question's clues")
    return puzzles, solutions


def _parse_digits(texts: list[str]) -> np.ndarray:
    characters = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8)
    return _DIGITS[characters].reshape(len(texts), GRID.num_cells)
