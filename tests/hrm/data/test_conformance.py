"""What every kind of task must hold, generated or read from disk."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.config.schema import build_config
from hrm.data.base import IGNORED_LABEL, Batch, Dataset, InMemoryDataset
from hrm.data.registry import get_task_class, open_task
from hrm.data.sudoku.dataset import BLANK_TOKEN
from hrm.data.sudoku.grid import GRIDS, are_solutions, compute_class_ids

SMALL = {"train_puzzles": 60, "valid_puzzles": 15, "test_puzzles": 30}
GENERATED = {
    "sudoku4": SMALL,
    "sudoku6": SMALL,
    "sudoku9": {**SMALL, "clues": 50},
    "sudoku6, minimal, plain": {**SMALL, "name": "sudoku6", "clues": None, "augment": False},
}
IMPORTED = ("directory", "arc directory", "csv file", "csv folder")
SUDOKU = (*GENERATED, "directory", "csv file", "csv folder")
BATCH_SIZE = 32


@pytest.fixture(scope="module")
def open_case(
    data_cache: str,
    tmp_path_factory: pytest.TempPathFactory,
    puzzles9: tuple[np.ndarray, np.ndarray],
    write_sudoku_directory: Callable[[Path], Path],
    write_arc_directory: Callable[[Path], Path],
    write_csv: Callable[..., Path],
) -> Callable[..., tuple[Any, Dataset]]:
    """The config and data set of a case by name, with options replaced."""
    folder = tmp_path_factory.mktemp("imported")
    puzzles, solutions = puzzles9
    write_csv(folder / "halves" / "train.csv", puzzles[:80], solutions[:80])
    write_csv(folder / "halves" / "test.csv", puzzles[80:], solutions[80:])
    options: dict[str, dict[str, Any]] = {
        "directory": {"name": str(write_sudoku_directory(folder / "sudoku")), "test_puzzles": 20},
        "arc directory": {"name": str(write_arc_directory(folder / "arc"))},
        "csv file": {**SMALL, "name": str(write_csv(folder / "one.csv", puzzles, solutions))},
        "csv folder": {**SMALL, "name": str(folder / "halves")},
    } | {name: {"name": name.split(",")[0], **values} for name, values in GENERATED.items()}

    def open_one(case: str, **changed: Any) -> tuple[Any, Dataset]:
        values = options[case] | changed
        config = build_config(get_task_class(values["name"]), values, "task")
        return config, open_task(config)

    return open_one


@pytest.fixture(params=(*GENERATED, *IMPORTED))
def opened(request: pytest.FixtureRequest, open_case: Callable[..., Any]) -> tuple[Any, Dataset]:
    return open_case(request.param)


@pytest.fixture(params=SUDOKU)
def sudoku(request: pytest.FixtureRequest, open_case: Callable[..., Any]) -> tuple[Any, Dataset]:
    return open_case(request.param)


def _same(first: Batch, second: Batch) -> bool:
    return first.keys() == second.keys() and all((first[key] == second[key]).all() for key in first)


def _check_arrays(
    inputs: np.ndarray, labels: np.ndarray, identifiers: np.ndarray, fields: Any, num: int
) -> None:
    assert inputs.shape == labels.shape == (num, fields["seq_len"])
    assert identifiers.shape == (num,)
    assert inputs.dtype == labels.dtype == identifiers.dtype == np.int32
    assert inputs.min() >= 0
    assert max(inputs.max(), labels.max()) < fields["vocab_size"]
    assert labels[labels != IGNORED_LABEL].min() >= 0
    assert 0 <= identifiers.min() <= identifiers.max() < fields["num_puzzle_identifiers"]


def test_shapes_types_and_ranges(opened: tuple[Any, Dataset]) -> None:
    _, data = opened
    for split in (data.valid, data.test):
        assert len(split) >= 1
        _check_arrays(split.inputs, split.labels, split.puzzle_identifiers, data.model_fields, len(split))
    batch = data.get_train_batch(0, BATCH_SIZE, 0)
    _check_arrays(
        batch["inputs"], batch["labels"], batch["puzzle_identifiers"], data.model_fields, BATCH_SIZE
    )


def test_evaluated_tokens_stay_on_disk(opened: tuple[Any, Dataset]) -> None:
    _, data = opened
    for split in (data.valid, data.test):
        assert isinstance(split.inputs, np.memmap)
        assert isinstance(split.labels, np.memmap)


def test_fields_known_beforehand_are_those_of_the_data(opened: tuple[Any, Dataset]) -> None:
    config, data = opened
    assert config.get_model_fields() == data.model_fields


def test_a_batch_depends_on_its_arguments_alone(opened: tuple[Any, Dataset]) -> None:
    config, data = opened
    forward = [data.get_train_batch(step, 8, 3) for step in range(12)]
    again = open_task(config)
    for step in reversed(range(12)):
        assert _same(again.get_train_batch(step, 8, 3), forward[step])
    others = [data.get_train_batch(step, 8, 4) for step in range(12)]
    assert not all(map(_same, forward, others))


def test_batches_may_be_larger_than_an_epoch(opened: tuple[Any, Dataset]) -> None:
    _, data = opened
    assert len(data.get_train_batch(1, 300, 0)["inputs"]) == 300


def test_pickles_as_a_reference_not_as_data(opened: tuple[Any, Dataset]) -> None:
    _, data = opened
    pickled = pickle.dumps(data)
    assert len(pickled) < 2000
    copy = pickle.loads(pickled)
    assert copy.fingerprint == data.fingerprint
    assert copy.supports_verdict == data.supports_verdict
    assert _same(copy.get_train_batch(5, 16, 1), data.get_train_batch(5, 16, 1))
    assert (copy.test.inputs == data.test.inputs).all()


def test_carried_it_takes_its_data_along(opened: tuple[Any, Dataset]) -> None:
    _, data = opened
    pickled = pickle.dumps(InMemoryDataset(data))
    assert len(pickled) > data.test.inputs.nbytes + data.valid.inputs.nbytes
    copy = pickle.loads(pickled).dataset
    assert type(copy) is type(data)
    assert copy.fingerprint == data.fingerprint and copy.model_fields == data.model_fields
    for step in (0, 5, 4):
        assert _same(copy.get_train_batch(step, 16, 1), data.get_train_batch(step, 16, 1))
    for split, original in ((copy.valid, data.valid), (copy.test, data.test)):
        assert _same(split.get_batch(0, len(split)), original.get_batch(0, len(original)))
        assert split.blank_token == original.blank_token


@pytest.mark.parametrize("case", (*GENERATED, *IMPORTED))
def test_equal_data_have_equal_fingerprints_wherever_they_lie(
    case: str, open_case: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, data = open_case(case)
    others = [open_case(case, data_seed=seed)[1] for seed in (1, 2, 3)]
    assert any(other.fingerprint != data.fingerprint for other in others)
    monkeypatch.setenv("HRM_SWEEPS_CACHE", str(tmp_path))
    _, again = open_case(case)
    assert again.folder != data.folder
    assert again.fingerprint == data.fingerprint
    assert (again.test.inputs == data.test.inputs).all()


def test_each_answer_is_a_grid_that_keeps_the_clues(sudoku: tuple[Any, Dataset]) -> None:
    _, data = sudoku
    grid = GRIDS[data.model_fields["seq_len"]]
    batch = data.get_train_batch(0, 100, 0)
    for inputs, labels in (
        (data.valid.inputs, data.valid.labels),
        (data.test.inputs, data.test.labels),
        (batch["inputs"], batch["labels"]),
    ):
        assert are_solutions(labels - 1, grid).all()
        assert ((inputs == BLANK_TOKEN) | (inputs == labels)).all()
        assert (inputs == BLANK_TOKEN).any(axis=1).all()
    assert data.valid.blank_token == data.test.blank_token == BLANK_TOKEN


def test_no_symmetry_of_a_puzzle_is_in_two_splits(sudoku: tuple[Any, Dataset]) -> None:
    _, data = sudoku
    grid = GRIDS[data.model_fields["seq_len"]]
    # An epoch holds every training puzzle; augmentation leaves their fingerprints as they are.
    train = np.concatenate([data.get_train_batch(step, 100, 0)["inputs"] for step in range(8)])
    classes = [
        set(compute_class_ids(tokens - 1, grid)) for tokens in (train, data.valid.inputs, data.test.inputs)
    ]
    assert len(set.union(*classes)) == sum(map(len, classes))


def test_no_puzzle_comes_twice_in_an_evaluated_split(sudoku: tuple[Any, Dataset]) -> None:
    _, data = sudoku
    for split in (data.valid, data.test):
        assert len(np.unique(split.inputs, axis=0)) == len(split)
