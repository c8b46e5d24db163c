"""Reading and sampling a CSV file in the format of Sudoku-Extreme: `source,question,answer,rating`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from hrm.errors import DataError
from hrm.tasks.grid import Grid, are_solutions
from hrm.tasks.mixing import random_bits

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
        ranks = random_bits(seed, np.arange(num_rows, num_rows + len(rows.lines)))
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
