"""CSV files in the format of Sudoku-Extreme: samples, splits, and messages with the line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.config.errors import ConfigError, DataError
from hrm.data.registry import get_task_class, open_task
from hrm.data.sudoku import csv_task as sudoku_csv_file
from hrm.data.sudoku.csv_task import SudokuCsvConfig, sample_rows
from hrm.data.sudoku.dataset import SudokuDataset, augment
from hrm.data.sudoku.grid import Grid, compute_class_ids

Puzzles = tuple[np.ndarray, np.ndarray]
WriteCsv = Callable[..., Path]
GRID = Grid(3, 3)
SIZES: Any = {"train_puzzles": 50, "valid_puzzles": 10, "test_puzzles": 20}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_SWEEPS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path: Path, write_csv: WriteCsv, puzzles9: Puzzles) -> Path:
    return write_csv(tmp_path / "puzzles.csv", *puzzles9)


def _open(path: Path, **options: Any) -> SudokuDataset:
    data = open_task(SudokuCsvConfig(**{"name": str(path), **SIZES, **options}))
    assert isinstance(data, SudokuDataset)
    return data


def _sizes(data: SudokuDataset) -> tuple[int, int, int]:
    return data.num_train, len(data.valid), len(data.test)


def _rows(grids: np.ndarray) -> set[bytes]:
    return {row.astype(np.uint8).tobytes() for row in grids}


def test_samples_are_random_rows_kept_together(file: Path, puzzles9: Puzzles) -> None:
    puzzles, solutions = sample_rows(file, 30, None, 0)
    pairs = dict(zip(map(bytes, puzzles9[0]), map(bytes, puzzles9[1])))
    assert len(_rows(puzzles)) == 30
    assert all(pairs[bytes(puzzle)] == bytes(solution) for puzzle, solution in zip(puzzles, solutions))
    assert _rows(puzzles) != _rows(sample_rows(file, 30, None, 1)[0])
    assert _rows(sample_rows(file, 1000, None, 0)[0]) == _rows(puzzles9[0])


def test_a_sample_does_not_depend_on_the_blocks_it_is_read_in(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sample_rows(file, 30, 1, 0)
    monkeypatch.setattr(sudoku_csv_file, "BLOCK_ROWS", 7)
    told: list[tuple[int, int]] = []
    blocks = sample_rows(file, 30, 1, 0, lambda done, total: told.append((done, total)))
    assert all((a == b).all() for a, b in zip(whole, blocks))
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
    assert told == sorted(told)


def test_a_larger_sample_begins_with_the_smaller(file: Path) -> None:
    assert (sample_rows(file, 60, None, 4)[0][:20] == sample_rows(file, 20, None, 4)[0]).all()


@pytest.mark.parametrize(("min_rating", "num"), [(None, 120), (0, 120), (1, 80), (2, 40), (3, 0)])
def test_low_ratings_are_left_out(file: Path, puzzles9: Puzzles, min_rating: int | None, num: int) -> None:
    puzzles, _ = sample_rows(file, 1000, min_rating, 0)
    assert len(puzzles) == num
    assert _rows(puzzles) == _rows(puzzles9[0][np.arange(120) % 3 >= (min_rating or 0)])


def test_zeros_are_blanks_too(tmp_path: Path, file: Path) -> None:
    zeros = tmp_path / "zeros.csv"
    zeros.write_text(file.read_text().replace(".", "0"))
    assert (sample_rows(zeros, 50, None, 0)[0] == sample_rows(file, 50, None, 0)[0]).all()


def test_the_mark_that_spreadsheets_write_first_is_skipped(tmp_path: Path, file: Path) -> None:
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert (sample_rows(marked, 30, None, 0)[0] == sample_rows(file, 30, None, 0)[0]).all()


def test_a_file_is_divided_three_ways(file: Path) -> None:
    assert _sizes(_open(file)) == (50, 10, 20)


def test_splits_of_a_short_file_shrink_in_proportion(file: Path) -> None:
    sizes = _sizes(_open(file, train_puzzles=100, valid_puzzles=20, test_puzzles=120))
    assert sizes == (50, 10, 60)
    assert sum(_sizes(_open(file, train_puzzles=10**9))) == 120


def test_a_folder_keeps_its_halves_apart(tmp_path: Path, write_csv: WriteCsv, puzzles9: Puzzles) -> None:
    puzzles, solutions = puzzles9
    write_csv(tmp_path / "set" / "train.csv", puzzles[:80], solutions[:80])
    write_csv(tmp_path / "set" / "test.csv", puzzles[80:], solutions[80:])
    data = _open(tmp_path / "set", test_puzzles=1000)
    assert _sizes(data) == (50, 10, 40)
    assert _rows(data.test.inputs - 1) == _rows(puzzles[80:])
    assert _rows(data.valid.inputs - 1) < _rows(puzzles[:80])


def test_images_of_test_puzzles_are_dropped_from_training(
    tmp_path: Path, write_csv: WriteCsv, puzzles9: Puzzles
) -> None:
    puzzles, solutions = puzzles9
    images = augment(puzzles[:60], solutions[:60], GRID, np.random.default_rng(0))
    write_csv(
        tmp_path / "set" / "train.csv", *map(np.concatenate, zip(images, (puzzles[60:80], solutions[60:80])))
    )
    write_csv(tmp_path / "set" / "test.csv", puzzles[:60], solutions[:60])
    data = _open(tmp_path / "set", train_puzzles=100, valid_puzzles=10, test_puzzles=100)
    assert len(data.test) == 60
    assert data.num_train + len(data.valid) == 20
    train = data.get_train_batch(0, data.num_train, 0)["inputs"]
    assert not set(compute_class_ids(train - 1, GRID)) & set(compute_class_ids(puzzles[:60], GRID))


def test_images_in_one_file_stay_on_one_side(tmp_path: Path, write_csv: WriteCsv, puzzles9: Puzzles) -> None:
    rng = np.random.default_rng(1)
    images = [augment(puzzles9[0][:12], puzzles9[1][:12], GRID, rng) for _ in range(8)]
    file = write_csv(tmp_path / "images.csv", *map(np.concatenate, zip(*images)))
    data = _open(file, train_puzzles=96, valid_puzzles=96, test_puzzles=96)
    train = data.get_train_batch(0, data.num_train, 0)["inputs"]
    classes = [set(compute_class_ids(t - 1, GRID)) for t in (train, data.valid.inputs, data.test.inputs)]
    assert [len(one) for one in classes] == [4, 4, 4]
    assert len(set.union(*classes)) == 12


def test_changed_files_are_read_again(file: Path) -> None:
    before = _open(file).fingerprint
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:100]) + "\n")
    assert _open(file).fingerprint != before


def test_paths_are_made_absolute(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert SudokuCsvConfig(name="puzzles.csv").name == str(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "task.name: given ''; must be the path of a CSV file or of a folder with train.csv"),
        ({"train_puzzles": 0}, "task.train_puzzles: given 0; must be at least 1"),
        ({"min_rating": -1}, "task.min_rating: given -1; must be 0 or more, or null"),
        ({"data_seed": -1}, "task.data_seed: given -1; must be 0 or more"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SudokuCsvConfig(**{"name": "a.csv", **options})
    assert str(caught.value) == message


def _message(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        _open(path, **options)
    return str(caught.value)


def _spoil(file: Path, line: int, change: Callable[[list[str]], list[str]]) -> None:
    lines = file.read_text().splitlines()
    lines[line - 1] = ",".join(change(lines[line - 1].split(",")))
    file.write_text("\n".join(lines) + "\n")


def _other_digit(text: str) -> str:
    return str(int(text[0]) % 9 + 1) + text[1:]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda row: row[:3], "given '3 fields'; a line must have 4: source,question,answer,rating"),
        (lambda row: [*row, "x"], "given '5 fields'"),
        (lambda row: [row[0], row[1][:80], *row[2:]], "given 'question of 80 characters'; it must have 81"),
        (lambda row: [*row[:2], row[2] + "1", row[3]], "given 'answer of 82 characters'; it must have 81"),
        (lambda row: [*row[:3], "hard"], "given \"rating 'hard'\"; it must be an integer, 0 or more"),
        (lambda row: [*row[:3], "-1"], "given \"rating '-1'\""),
        (lambda row: [row[0], "x" + row[1][1:], *row[2:]], "a question holds digits, and . or 0 for blank"),
        (lambda row: [row[0], "é" + row[1][1:], *row[2:]], "a question holds digits, and . or 0 for blank"),
        (lambda row: [*row[:2], "." + row[2][1:], row[3]], "an answer holds 1 to 9 once in each row"),
        (lambda row: [*row[:2], _other_digit(row[2]), row[3]], "an answer holds 1 to 9 once in each row"),
        (
            lambda row: [row[0], _other_digit(row[2][0]) + row[1][1:], *row[2:]],
            "must keep the question's clues",
        ),
    ],
)
def test_a_bad_line(file: Path, change: Callable[[list[str]], list[str]], rule: str) -> None:
    _spoil(file, 57, change)
    message = _message(file)
    assert message.startswith(f"{file}, line 57: given ")
    assert rule in message


def test_a_bad_header(file: Path) -> None:
    _spoil(file, 1, lambda row: ["puzzle", "solution"])
    assert _message(file) == (
        f"{file}, line 1: given 'puzzle,solution'; must be the header source,question,answer,rating"
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "line 1: given ''; must be the header"),
        (
            b"source,question,answer,rating\n",
            "given 'no puzzles'; must hold at least one line below the header",
        ),
        (b"source,question,answer,rating\n\xff\xfe,1,2,3\n", "must be a readable CSV file in UTF-8"),
    ],
)
def test_a_file_without_puzzles(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    assert fault in _message(tmp_path / "bad.csv")


def test_a_missing_file(tmp_path: Path) -> None:
    assert get_task_class(str(tmp_path / "none.csv")) is SudokuCsvConfig
    rule = "task= takes a CSV file, or a folder with train.csv and test.csv"
    assert _message(tmp_path / "none.csv") == f"{tmp_path}/none.csv: given 'no such file'; {rule}"


def test_a_folder_without_a_test_file(tmp_path: Path, write_csv: WriteCsv, puzzles9: Puzzles) -> None:
    write_csv(tmp_path / "set" / "train.csv", *puzzles9)
    assert get_task_class(str(tmp_path / "set")) is SudokuCsvConfig
    assert _message(tmp_path / "set").startswith(f"{tmp_path}/set/test.csv: given 'no such file'")


def test_too_few_puzzles_to_divide(
    tmp_path: Path, write_csv: WriteCsv, puzzles9: Puzzles, file: Path
) -> None:
    small = write_csv(tmp_path / "small.csv", puzzles9[0][:2], puzzles9[1][:2])
    message = _message(small)
    assert message.startswith(
        f"{small}: given 'no puzzles for test'; each split needs a puzzle that is no symmetry"
    )
    assert message.endswith("Give more puzzles or lower task.min_rating")
    assert "given 'no puzzles for train'" in _message(file, min_rating=3)
