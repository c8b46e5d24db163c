"""Reading and sampling a CSV file in the format of Sudoku-Extreme: `source,question,answer,rating`."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from hrm.config.errors import DataError
from hrm.config.validation import at_least, check, each
from hrm.data.base import TaskKind, make_absolute
from hrm.data.cache import get_or_build
from hrm.data.sampling import draw_random_bits
from hrm.data.sudoku import dataset as sudoku_dataset
from hrm.data.sudoku.dataset import SPLITS, SudokuDataset
from hrm.data.sudoku.grid import ClassSplitter, Grid, are_solutions, compute_class_ids

GRID = Grid(3, 3)
HEADER = ["source", "question", "answer", "rating"]
BLOCK_ROWS = 16384

Progress = Callable[[int, int], None]
_Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Random ranks uint64 [N], puzzles and solutions uint8 [N, 81]."""

_UNREADABLE = 255
_DIGIT_OF = np.full(256, _UNREADABLE, np.uint8)
_DIGIT_OF[ord(".")] = 0
_DIGIT_OF[ord("0") : ord("9") + 1] = np.arange(10)


@dataclass
class _Rows:
    """Rows as they were read, with the line on which each ended."""

    lines: list[int] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    ratings: list[int] = field(default_factory=list)


def sample_rows(
    path: Path, most: int, min_rating: int | None, seed: int, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A random sample of a file's puzzles, in a random order; memory grows with the sample, not the file.

    Every row is checked, sampled or not.

    Args:
        path: the file.
        most: size of the sample; smaller files are taken whole.
        min_rating: rows rated below it are left out.
        seed: decides sample and order.
        progress: called with bytes read (nearly) and in all.

    Returns:
        puzzles uint8 [N, 81] with 0 for blank, and solutions uint8 [N, 81].

    Raises:
        DataError: the file is missing or a line breaks a rule.
    """
    kept: list[_Sample] = []
    num_rows = 0
    for rows in _blocks(path, progress):
        puzzles, solutions = _parse(rows, path)
        ranks = draw_random_bits(seed, np.arange(num_rows, num_rows + len(rows.lines)))
        num_rows += len(rows.lines)
        wanted = np.asarray(rows.ratings) >= (min_rating or 0)
        kept.append((ranks[wanted], puzzles[wanted], solutions[wanted]))
        if sum(len(part[0]) for part in kept) > 2 * most:
            kept = [_lowest(kept, most)]
    if not kept:
        raise DataError(str(path), "no puzzles", "must hold at least one line below the header")
    return _lowest(kept, most)[1:]


def _lowest(parts: list[_Sample], most: int) -> _Sample:
    """The `most` puzzles of lowest rank, by rank."""
    ranks, puzzles, solutions = (np.concatenate(arrays) for arrays in zip(*parts))
    lowest = np.argsort(ranks)[:most]
    return ranks[lowest], puzzles[lowest], solutions[lowest]


def _blocks(path: Path, progress: Progress | None) -> Iterator[_Rows]:
    """The file's rows, BLOCK_ROWS at a time, with lengths and ratings checked."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if header != HEADER:
                raise DataError(f"{path}, line 1", ",".join(header), f"must be the header {','.join(HEADER)}")
            size, done = path.stat().st_size, 0
            rows = _Rows()
            for row in reader:
                _append(rows, row, path, reader.line_num)
                done += sum(map(len, row)) + len(HEADER)
                if len(rows.lines) == BLOCK_ROWS:
                    yield rows
                    rows = _Rows()
                    if progress:
                        progress(min(done, size), size)
            if rows.lines:
                yield rows
            if progress:
                progress(size, size)
    except FileNotFoundError:
        raise DataError(str(path), "no such file", "must be a CSV file", "Check the path of task=") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(str(path), str(error), "must be a readable CSV file in UTF-8") from None


def _append(rows: _Rows, row: list[str], path: Path, line: int) -> None:
    if len(row) != len(HEADER):
        _refuse(path, line, f"{len(row)} fields", f"a line must have {len(HEADER)}: {','.join(HEADER)}")
    _, question, answer, rating = row
    for name, text in (("question", question), ("answer", answer)):
        if len(text) != GRID.num_cells:
            _refuse(path, line, f"{name} of {len(text)} characters", f"it must have {GRID.num_cells}")
    if not rating.isdecimal():
        _refuse(path, line, f"rating {rating!r}", "it must be an integer, 0 or more")
    rows.lines.append(line)
    rows.questions.append(question)
    rows.answers.append(answer)
    rows.ratings.append(int(rating))


def _parse(rows: _Rows, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Digits uint8 [rows, 81] of questions and answers, checked against each other."""
    puzzles, solutions = _digits(rows.questions), _digits(rows.answers)

    def require(holds: np.ndarray, texts: list[str], rule: str) -> None:
        if not holds.all():
            first = int(np.argmin(holds))
            _refuse(path, rows.lines[first], texts[first], rule)

    require(
        (puzzles != _UNREADABLE).all(axis=1), rows.questions, "a question holds digits, and . or 0 for blank"
    )
    require(
        are_solutions(solutions, GRID),
        rows.answers,
        "an answer holds 1 to 9 once in each row, column and box",
    )
    agrees = ((puzzles == 0) | (puzzles == solutions)).all(axis=1)
    require(agrees, rows.answers, "the answer must keep the question's clues")
    return puzzles, solutions


def _digits(texts: list[str]) -> np.ndarray:
    characters = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8)
    return _DIGIT_OF[characters].reshape(len(texts), GRID.num_cells)


def _refuse(path: Path, line: int, given: str, rule: str) -> NoReturn:
    raise DataError(f"{path}, line {line}", given, rule)


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

    return get_or_build("sudoku_csv", key, build)


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
    prints = compute_class_ids(puzzles, GRID)
    fresh = (
        ~np.isin(prints, compute_class_ids(fixed["test"][0], GRID)) if fixed else np.ones(len(prints), bool)
    )
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
    return sudoku_dataset.get_model_fields(GRID.num_cells)


SUDOKU_CSV = TaskKind(
    config_class=SudokuCsvConfig,
    family="puzzle",
    prepare=prepare,
    open=SudokuDataset,
    summary="a CSV file in the format of Sudoku-Extreme, or a folder with train.csv and test.csv",
    counted_fields=_counted_fields,
)
