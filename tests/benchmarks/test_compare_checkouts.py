"""The comparison of two checkouts sees the last bit, and nothing that may differ."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import compare_checkouts
from benchmarks.compare_checkouts import count_contents, find_differences, read_matrix

ROW = {"number": 3, "status": "pruned", "seconds": 1.5, "objective": 0.1, "config": '{"train": {"lr": 0.1}}'}
POINT = {"number": 3, "index": 2, "valid/loss": 0.7, "train_seconds": 0.5}
NOTES = {"notes": ["The search ended after 5 of 8 trials: stop.trials=5 was reached."]}


def write(folder: Path, row: dict[str, Any], point: dict[str, Any], facts: dict[str, Any]) -> Path:
    (folder / "curves").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row]), folder / "trials.parquet")
    pq.write_table(pa.Table.from_pylist([point]), folder / "curves" / "3.parquet")
    (folder / "sweep.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write(tmp_path / "old", ROW, POINT, NOTES)


def test_times_words_and_the_order_of_keys_may_differ(old: Path, tmp_path: Path) -> None:
    facts = {"notes": ["stop.trials=5 was reached after 5 of 8 trials, which ended the search."]}
    new = write(tmp_path / "new", ROW | {"seconds": 9.0}, POINT | {"train_seconds": 9.0}, facts)
    assert list(find_differences(old, new)) == []
    assert count_contents(new) == {"sweeps": 1, "pruned": 1, "values": 8}


@pytest.mark.parametrize(
    ("row", "point", "facts", "difference"),
    [
        ({"status": "completed"}, {}, {}, "job 3 status: 'pruned' -> 'completed'"),
        ({"objective": None}, {}, {}, "job 3 objective: 0.1 -> None"),
        ({"config": '{"train": {"lr": 0.2}}'}, {}, {}, "job 3 config.train.lr: 0.1 -> 0.2"),
        (
            {},
            {"valid/loss": math.nextafter(0.7, 1)},
            {},
            "job 3 report 2 valid/loss: 0.7 -> 0.7000000000000001",
        ),
        ({}, {}, {"notes": []}, "sweep.json notes.0: ['5', '5', '8', 'stop.trials'] -> None"),
    ],
)
def test_anything_else_is_told(
    row: dict[str, Any],
    point: dict[str, Any],
    facts: dict[str, Any],
    difference: str,
    old: Path,
    tmp_path: Path,
) -> None:
    new = write(tmp_path / "new", ROW | row, POINT | point, NOTES | facts)
    assert list(find_differences(old, new)) == [difference]


def test_a_sweep_that_is_not_there_is_told(old: Path, tmp_path: Path) -> None:
    assert list(find_differences(old, tmp_path / "new")) == ["sweeps: . -> none"]


def test_a_renamed_column_is_the_same_column(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"score" if name == "objective" else name: value for name, value in ROW.items()}
    new = write(tmp_path / "new", row, POINT, NOTES)
    assert len(list(find_differences(old, new))) == 2
    monkeypatch.setitem(compare_checkouts.RENAMED, "objective", "score")
    assert list(find_differences(old, new)) == []


def test_the_matrix_can_be_read() -> None:
    entries, spaces = read_matrix([])
    names = [entry.name for entry in entries]
    assert all(entry.same_as is None or entry.same_as in names for entry in entries)
    asked = " ".join(entry.run for entry in entries)
    assert all(f"space={name}.yaml" in asked for name in spaces)
