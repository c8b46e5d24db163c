"""Folders in the official format: official sampling, a validation split by group, and their messages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.config.errors import ConfigError, DataError
from hrm.data.base import IGNORED_LABEL
from hrm.data.directory import DirectoryConfig, DirectoryDataset
from hrm.data.official_format import Half
from hrm.data.registry import open_task
from hrm.data.sudoku.dataset import augment
from hrm.data.sudoku.generator import generate_puzzles
from hrm.data.sudoku.grid import Grid, compute_class_ids

WriteFolder = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_SWEEPS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def arc(tmp_path: Path, write_arc_directory: WriteFolder) -> Path:
    return write_arc_directory(tmp_path / "arc")


@pytest.fixture
def sudoku(tmp_path: Path, write_sudoku_directory: WriteFolder) -> Path:
    return write_sudoku_directory(tmp_path / "sudoku")


def _open(path: Path, **options: Any) -> DirectoryDataset:
    data = open_task(DirectoryConfig(name=str(path), **options))
    assert isinstance(data, DirectoryDataset)
    return data


def test_an_epoch_takes_all_examples_of_one_puzzle_of_each_group(arc: Path) -> None:
    data = _open(arc)
    groups = {tuple(range(*span)) for span in ((0, 2), (2, 3), (3, 6), (6, 8))}
    sizes = [2, 3, 2, 4, 2, 3, 2, 2]
    held_out = {int(i) for i in data.valid.puzzle_identifiers - 1}
    trained = [group for group in groups if not held_out & set(group)]
    length = data.sampler.epoch_length
    assert length == sum(min(sizes[puzzle] for puzzle in group) for group in trained)
    seen: set[int] = set()
    for epoch in range(60):
        batch = data.get_train_batch(epoch, length, 0)
        puzzles, counts = np.unique(batch["inputs"][:, 0], return_counts=True)
        assert (batch["puzzle_identifiers"] == batch["inputs"][:, 0] + 1).all()
        assert len(np.unique(batch["inputs"], axis=0)) == length
        assert all(len(set(puzzles) & set(group)) <= 1 for group in trained)
        # Only the last puzzle of an epoch may be cut, to the common length of epochs.
        assert sum(count != sizes[puzzle] for puzzle, count in zip(puzzles, counts)) <= 1
        seen |= set(puzzles.tolist())
    assert seen == {puzzle for group in trained for puzzle in group}


def test_examples_of_a_puzzle_come_together_in_random_order(arc: Path) -> None:
    data = _open(arc)
    stream = np.concatenate([data.sampler.take(step, 1, 0) for step in range(200)])
    batches = [data.sampler.take(step, 8, 0) for step in range(25)]
    assert (np.concatenate(batches) == stream).all()
    puzzles = np.searchsorted(Half(arc / "train").puzzle_starts, stream, side="right") - 1
    orders = {tuple(stream[i : i + 2]) for i in range(199) if puzzles[i] == puzzles[i + 1] == puzzles[0]}
    assert len(orders) >= 2


def test_validation_holds_the_first_puzzle_of_each_group_held_out(arc: Path) -> None:
    for seed in range(6):
        valid = _open(arc, data_seed=seed).valid
        assert len(set(valid.puzzle_identifiers)) == 1
        assert valid.puzzle_identifiers[0] - 1 in (0, 2, 3, 6)
        puzzle_of_example = np.repeat(np.arange(8), [2, 3, 2, 4, 2, 3, 2, 2])
        examples = np.flatnonzero(puzzle_of_example == valid.puzzle_identifiers[0] - 1)
        inputs, labels = Half(arc / "train").get_examples(examples)
        assert (valid.inputs == inputs).all()
        assert (valid.labels == labels).all()


@pytest.mark.parametrize(
    ("options", "num"),
    [({}, 6), ({"valid_puzzles": 3}, 3), ({"valid_fraction": 0.5}, 30), ({"valid_fraction": 0.001}, 1)],
)
def test_as_many_groups_are_held_out_as_said(sudoku: Path, options: dict[str, Any], num: int) -> None:
    data = _open(sudoku, **options)
    assert len(data.valid) == num
    assert len(data.sampler.groups) == 60 - num


def test_the_test_half_is_taken_whole_or_sampled(sudoku: Path) -> None:
    whole = Half(sudoku / "test").get_examples(np.arange(30))[0]
    assert (_open(sudoku).test.inputs == whole).all()
    assert (_open(sudoku, test_puzzles=30).test.inputs == whole).all()
    sample = _open(sudoku, test_puzzles=29).test.inputs
    assert len(np.unique(sample, axis=0)) == len(sample) == 29
    assert {row.tobytes() for row in sample} < {row.tobytes() for row in whole}


def test_other_tasks_have_no_blank_token_and_their_own_fields(arc: Path, sudoku: Path) -> None:
    data = _open(arc)
    assert data.test.blank_token is None
    assert data.model_fields == {"vocab_size": 12, "seq_len": 20, "num_puzzle_identifiers": 9}
    assert (data.test.labels == IGNORED_LABEL).any()
    assert data.supports_verdict
    assert _open(sudoku).test.blank_token == 1


def test_small_sudokus_from_disk_support_no_verdict_either(
    tmp_path: Path, write_half: Callable[..., None]
) -> None:
    puzzles, solutions = generate_puzzles(Grid(2, 2), None, 0, np.arange(60))
    for half, num in (("train", 60), ("test", 3)):
        write_half(tmp_path / "four" / half, puzzles[:num] + 1, solutions[:num] + 1, [1] * num, [1] * num)
    assert not _open(tmp_path / "four").supports_verdict


def test_symmetries_of_test_puzzles_are_not_trained_on(sudoku: Path) -> None:
    """A rotation by half a turn of ten test puzzles, planted as training groups 0 to 9."""
    test = Half(sudoku / "test").get_examples(np.arange(10))
    first = Half(sudoku / "train").puzzle_starts[Half(sudoku / "train").group_starts[:10]]
    for field, grids in zip(("inputs", "labels"), test):
        path = sudoku / "train" / f"all__{field}.npy"
        array = np.load(path)
        array[first] = grids[:, ::-1]
        np.save(path, array)
    data = _open(sudoku, valid_puzzles=3)
    assert len(data.sampler.groups) == 60 - 10 - 3
    assert data.sampler.groups.min() >= 10


def test_images_of_one_puzzle_are_held_out_together(
    tmp_path: Path, write_half: Callable[..., None], puzzles9: tuple[np.ndarray, np.ndarray]
) -> None:
    rng = np.random.default_rng(0)
    images = [augment(puzzles9[0][:20], puzzles9[1][:20], Grid(3, 3), rng) for _ in range(4)]
    inputs, labels = (np.concatenate(grids) + 1 for grids in zip(*images))
    write_half(tmp_path / "images" / "train", inputs, labels, [1] * 80, [1] * 80)
    write_half(tmp_path / "images" / "test", puzzles9[0][20:] + 1, puzzles9[1][20:] + 1, [1] * 100, [1] * 100)
    data = _open(tmp_path / "images")
    assert len(data.valid) == 2
    assert len(data.sampler.groups) == 72
    train = set(compute_class_ids(inputs[data.sampler.groups] - 1, Grid(3, 3)))
    assert len(train) == 18
    assert not train & set(compute_class_ids(data.valid.inputs - 1, Grid(3, 3)))


def test_changed_files_are_read_again(sudoku: Path) -> None:
    before = _open(sudoku)
    path = sudoku / "test" / "all__inputs.npy"
    np.save(path, np.load(path)[::-1])
    after = _open(sudoku)
    assert after.fingerprint != before.fingerprint
    assert (after.test.inputs == before.test.inputs[::-1]).all()


def test_a_moved_folder_has_the_same_fingerprint(sudoku: Path, tmp_path: Path) -> None:
    before = _open(sudoku).fingerprint
    shutil.move(sudoku, tmp_path / "moved")
    assert _open(tmp_path / "moved").fingerprint == before


def test_paths_are_made_absolute(sudoku: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sudoku.parent)
    assert DirectoryConfig(name="sudoku").name == str(sudoku)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "task.name: given ''; must be the path of a folder"),
        ({"valid_fraction": 0.0}, "task.valid_fraction: given 0.0; must lie between 0 and 1"),
        ({"valid_fraction": 1.0}, "task.valid_fraction: given 1.0; must lie between 0 and 1"),
        ({"valid_puzzles": 0}, "task.valid_puzzles: given 0; must be at least 1"),
        ({"test_puzzles": 0}, "task.test_puzzles: given 0; must be at least 1"),
        ({"data_seed": -1}, "task.data_seed: given -1; must be 0 or more"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DirectoryConfig(**{"name": "data", **options})
    assert str(caught.value) == message


def _message(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        _open(path, **options)
    return str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    message = _message(tmp_path / "nowhere")
    assert message.startswith(
        f"task={tmp_path}/nowhere: given 'no such folder'; a data set folder holds train/"
    )
    with pytest.raises(DataError, match="no such folder"):
        DirectoryConfig(name=str(tmp_path / "nowhere")).get_model_fields()


def test_a_missing_half(sudoku: Path) -> None:
    shutil.rmtree(sudoku / "test")
    assert _message(sudoku).startswith(f"{sudoku}/test: given 'no such folder'")


def test_halves_that_disagree(sudoku: Path, arc: Path) -> None:
    shutil.rmtree(sudoku / "test")
    shutil.copytree(arc / "test", sudoku / "test")
    message = _message(sudoku)
    assert message.startswith(f"{sudoku}/test: given {{'vocab_size': 12")
    assert "must agree with train/: {'vocab_size': 11" in message


def test_a_token_out_of_vocabulary_stops_it(sudoku: Path) -> None:
    path = sudoku / "train" / "all__inputs.npy"
    array = np.load(path)
    array[3, 3] = 11
    np.save(path, array)
    assert _message(sudoku) == f"{path}: given '11 in row 3'; inputs must lie in 0..10"


def test_one_group_cannot_be_divided(tmp_path: Path, arc: Path, write_half: Callable[..., None]) -> None:
    write_half(
        arc / "train", np.ones((3, 20)), np.ones((3, 20)), [3], [1], vocab_size=12, num_puzzle_identifiers=9
    )
    message = _message(arc)
    assert message.startswith(
        f"{arc}/train: given '1 group(s), 0 of them symmetries of test puzzles'; some must be left"
    )
    assert message.endswith("Give more groups")
