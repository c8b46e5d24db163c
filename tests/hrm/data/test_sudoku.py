"""The generated tasks: options, sizes, cost, workers, and their messages."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.config.errors import ConfigError, DataError, UnknownNameError
from hrm.config.schema import build_config
from hrm.data.registry import TASKS, open_task
from hrm.data.sudoku import task as sudoku
from hrm.data.sudoku.dataset import BLANK_TOKEN, SudokuDataset
from hrm.data.sudoku.grid import compute_class_ids
from hrm.data.sudoku.task import Sudoku4Config, Sudoku6Config, Sudoku9Config, SudokuConfig

SUDOKU_TASKS = (Sudoku4Config, Sudoku6Config, Sudoku9Config)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HRM_SWEEPS_CACHE", str(tmp_path))
    return tmp_path


def _open(config: SudokuConfig, **options: Any) -> SudokuDataset:
    data = open_task(config, **options)
    assert isinstance(data, SudokuDataset)
    return data


def test_defaults() -> None:
    assert Sudoku4Config().clues is None
    assert Sudoku6Config().clues == 18
    for task in SUDOKU_TASKS:
        config = task()
        assert TASKS[config.name] is task
        assert config.train_puzzles == 1000
        assert config.augment
        assert task.family == "puzzle"
        fields = {"vocab_size": 11, "seq_len": config.grid.num_cells, "num_puzzle_identifiers": 1}
        assert config.get_model_fields() == fields


def test_only_the_smallest_never_supports_a_verdict() -> None:
    sizes = {"train_puzzles": 5, "valid_puzzles": 2, "test_puzzles": 2}
    supports = {task().name: open_task(task(**sizes)).supports_verdict for task in SUDOKU_TASKS}
    assert supports == {"sudoku4": False, "sudoku6": True, "sudoku9": True}


def test_the_small_default_set_is_whole() -> None:
    """36 classes among three splits: each split has some, in proportion, and as many puzzles as asked."""
    data = _open(Sudoku4Config())
    assert (data.num_train, len(data.valid), len(data.test)) == (1000, 64, 128)
    train = data.get_train_batch(0, 1000, 0)["inputs"]
    classes = [
        len(set(compute_class_ids(t - 1, data.grid))) for t in (train, data.valid.inputs, data.test.inputs)
    ]
    assert sum(classes) == 36
    assert min(classes) >= 2
    assert classes[0] >= 24


def test_the_middle_default_set_holds_distinct_classes_only() -> None:
    data = _open(Sudoku6Config())
    assert (data.num_train, len(data.valid), len(data.test)) == (1000, 256, 1000)
    for split in (data.valid, data.test):
        assert ((split.inputs != BLANK_TOKEN).sum(axis=1) == 18).all()
        assert len(set(compute_class_ids(split.inputs - 1, data.grid))) == len(split)


@pytest.mark.parametrize(("kind", "n"), [(Sudoku4Config, 4), (Sudoku6Config, 9), (Sudoku9Config, 23)])
def test_fewest_clues_are_reached_and_one_less_is_refused(kind: type[SudokuConfig], n: int) -> None:
    sizes: Any = {"train_puzzles": 1, "valid_puzzles": 1, "test_puzzles": 1}
    data = _open(kind(clues=n, **sizes))
    assert ((data.test.inputs != BLANK_TOKEN).sum(axis=1) == n).all()
    with pytest.raises(
        ConfigError, match=rf"task.clues: given {n - 1}; must lie in {n}\.\.\d+ for sudoku\d, or null"
    ):
        kind(clues=n - 1, **sizes)


def test_one_blank_is_allowed_and_none_refused() -> None:
    assert Sudoku9Config(clues=80).clues == 80
    with pytest.raises(ConfigError, match=r"task.clues: given 81; must lie in 23\.\.80 for sudoku9"):
        Sudoku9Config(clues=81)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train_puzzles": 0}, "task.train_puzzles: given 0; must be at least 1"),
        ({"valid_puzzles": -3}, "task.valid_puzzles: given -3; must be at least 1"),
        ({"test_puzzles": 0}, "task.test_puzzles: given 0; must be at least 1"),
        ({"data_seed": -1}, "task.data_seed: given -1; must be 0 or more"),
        ({"name": "sudoku9"}, "task.name: given 'sudoku9'; must be 'sudoku6' for a 6x6 grid"),
        ({"clues": "many"}, "task.clues: given 'many'"),
    ],
)
def test_options_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config(Sudoku6Config, values, "task")
    assert str(caught.value).startswith(message)


def test_a_mistyped_option_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'clues'"):
        build_config(Sudoku6Config, {"clue": 14}, "task")


def test_too_few_different_puzzles(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are 288 * 16 puzzles of 4x4 with one blank."""
    monkeypatch.setattr(sudoku, "MAX_DRAWS_PER_PUZZLE", 2)
    with pytest.raises(DataError) as caught:
        open_task(Sudoku4Config(clues=15, train_puzzles=5, valid_puzzles=5000, test_puzzles=5))
    assert str(caught.value).startswith("task sudoku4: given {'train': 5, 'valid': 5000, 'test': 5}; only {")
    assert str(caught.value).endswith(
        "different puzzles were found. Ask for fewer puzzles, or for other task.clues"
    )


def test_augmented_batches_show_images_of_the_base_puzzles() -> None:
    sizes: Any = {"train_puzzles": 12, "valid_puzzles": 1, "test_puzzles": 1}
    plain, varied = _open(Sudoku6Config(augment=False, **sizes)), _open(Sudoku6Config(**sizes))
    assert plain.fingerprint == varied.fingerprint
    assert plain.folder == varied.folder
    base, images = plain.get_train_batch(0, 12, 0)["inputs"], varied.get_train_batch(0, 12, 0)["inputs"]
    assert (compute_class_ids(base - 1, plain.grid) == compute_class_ids(images - 1, plain.grid)).all()
    assert not (base == images).all(axis=1).any()
    epochs = np.concatenate([varied.get_train_batch(step, 12, 0)["inputs"] for step in range(20)])
    assert len(np.unique(epochs, axis=0)) == 240
    assert len(np.unique(compute_class_ids(epochs - 1, plain.grid))) == 12


def test_workers_do_not_change_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Sudoku6Config(clues=10, train_puzzles=80, valid_puzzles=10, test_puzzles=10)
    alone = _open(config)
    monkeypatch.setenv("HRM_SWEEPS_CACHE", str(tmp_path / "again"))
    monkeypatch.setattr(sudoku, "SECONDS_WORTH_A_PROCESS", 0.01)
    monkeypatch.setattr(sudoku, "count_cpus", lambda: 2)
    together = _open(config)
    assert together.folder != alone.folder
    assert together.fingerprint == alone.fingerprint


def test_golden_set() -> None:
    """Another set for the same config needs a new generator VERSION, or caches would mix old and new."""
    config = Sudoku6Config(train_puzzles=30, valid_puzzles=5, test_puzzles=5)
    assert _open(config).fingerprint == "cfd1f3d519ffc3d9"


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    config = Sudoku6Config(train_puzzles=30, valid_puzzles=5, test_puzzles=5)
    open_task(config, lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40)
    told.clear()
    open_task(config, lambda done, total: told.append((done, total)))
    assert told == []


def test_large_sets_state_their_cost_first(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    small: Any = {"train_puzzles": 20, "valid_puzzles": 4, "test_puzzles": 4}
    with caplog.at_level(logging.WARNING):
        open_task(Sudoku6Config(**small))
        assert caplog.text == ""
        monkeypatch.setattr(sudoku, "SECONDS_WORTH_A_MESSAGE", 0.001)
        open_task(Sudoku6Config(data_seed=1, **small))
    assert "Generating 28 sudoku6 puzzles takes about" in caplog.text


def test_default_sets_cost_less_than_a_message_on_two_cores() -> None:
    for task in SUDOKU_TASKS:
        assert task().estimate_seconds() / 2 < sudoku.SECONDS_WORTH_A_MESSAGE


@pytest.mark.parametrize("task", SUDOKU_TASKS)
def test_cost_grows_with_puzzles_and_with_fewer_clues(task: type[SudokuConfig]) -> None:
    clues = sorted(task.milliseconds)
    costs = [task(clues=c).estimate_seconds() for c in clues]
    assert costs == sorted(costs, reverse=True)
    assert task(train_puzzles=10**6).estimate_seconds() > 100 * task(train_puzzles=1000).estimate_seconds()
    assert task(clues=clues[0]).estimate_seconds() > task(clues=None).estimate_seconds() > 0
