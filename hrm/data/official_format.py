"""Data sets in the official directory format: one half (`train` or `test`), read and checked.

A half holds examples (rows of `inputs` and `labels`); consecutive examples make a puzzle, which has one
identifier; consecutive puzzles make a group (one puzzle and its augmentations). Source: sapientinc/HRM,
`puzzle_dataset.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.data.base import IGNORED_LABEL

METADATA_FILE = "dataset.json"
FIELDS = ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")
LAYOUT = "a data set folder holds train/ and test/, each with dataset.json and <set>__inputs.npy and so on"
_BLOCK = 65536


@dataclass(frozen=True)
class Metadata:
    """What `dataset.json` says of the tokens."""

    vocab_size: int
    seq_len: int
    num_puzzle_identifiers: int
    ignore_label_id: int | None
    sets: tuple[str, ...]

    @property
    def model_fields(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("vocab_size", "seq_len", "num_puzzle_identifiers")}


def read_metadata(half: Path) -> Metadata:
    """The metadata of `half`, a `train` or `test` folder.

    Raises:
        DataError: the folder or file is missing, or a value is missing or out of range.
    """
    if not half.is_dir():
        raise DataError(str(half), "no such folder", LAYOUT, "Check the path of task=")
    path = half / METADATA_FILE
    values = _read_json(path)
    numbers = {}
    for name in ("vocab_size", "seq_len", "num_puzzle_identifiers"):
        numbers[name] = _integer(path, values, name)
        if numbers[name] < 1:
            raise DataError(str(path), f"{name}={numbers[name]}", f"{name} must be at least 1")
    ignored = None if values.get("ignore_label_id") is None else _integer(path, values, "ignore_label_id")
    sets = values.get("sets")
    if not isinstance(sets, list) or not sets or not all(isinstance(name, str) for name in sets):
        raise DataError(str(path), f"sets={sets!r}", "sets must be a list of at least one name")
    return Metadata(**numbers, ignore_label_id=ignored, sets=tuple(sets))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(str(path), "no such file", LAYOUT) from None
    except (ValueError, OSError) as error:
        raise DataError(str(path), str(error), "must be a JSON file") from None
    if not isinstance(values, dict):
        raise DataError(str(path), type(values).__name__, "must hold a JSON object")
    return values


def _integer(path: Path, values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(str(path), f"{name}={value!r}", f"{name} must be an integer")
    return value


class Half:
    """The examples of `train` or `test`, all its sets behind each other.

    Args:
        folder: the half's folder.

    Raises:
        DataError: a file is missing, cannot be read, or does not fit the others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = read_metadata(folder)
        sets = [_read_set(folder, name, self.metadata.seq_len) for name in self.metadata.sets]
        self._inputs = [arrays["inputs"] for arrays in sets]
        self._labels = [arrays["labels"] for arrays in sets]
        self._starts = np.cumsum([0, *(len(inputs) for inputs in self._inputs)])
        self.puzzle_identifiers = np.concatenate([arrays["puzzle_identifiers"] for arrays in sets]).astype(
            np.int32
        )
        self.puzzle_starts = _join([arrays["puzzle_indices"] for arrays in sets])
        """First example of each puzzle, and the end; int64 [puzzles + 1]."""
        self.group_starts = _join([arrays["group_indices"] for arrays in sets])
        """First puzzle of each group, and the end; int64 [groups + 1]."""

    @property
    def files(self) -> list[Path]:
        """Every file that the half is read from."""
        arrays = [array_file(self.folder, name, field) for name in self.metadata.sets for field in FIELDS]
        return [self.folder / METADATA_FILE, *arrays]

    @property
    def num_examples(self) -> int:
        return int(self._starts[-1])

    @property
    def num_groups(self) -> int:
        return len(self.group_starts) - 1

    def examples(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels int32 [n, seq_len] of examples `indices`, ignored labels as IGNORED_LABEL."""
        inputs, labels = (_gather(arrays, self._starts, indices) for arrays in (self._inputs, self._labels))
        if self.metadata.ignore_label_id is not None:
            labels[labels == self.metadata.ignore_label_id] = IGNORED_LABEL
        return inputs, labels

    def identifiers(self, indices: np.ndarray) -> np.ndarray:
        """The puzzle identifiers int32 [n] of examples `indices`."""
        return self.puzzle_identifiers[np.searchsorted(self.puzzle_starts, indices, side="right") - 1]

    def check_values(self) -> None:
        """Reads all tokens and identifiers once.

        Raises:
            DataError: one is out of the range that the metadata give.
        """
        limit = self.metadata.num_puzzle_identifiers
        _check_range(self.folder, "puzzle_identifiers", self.puzzle_identifiers, limit, None)
        for name, inputs, labels in zip(self.metadata.sets, self._inputs, self._labels):
            for field, array, ignored in (
                ("inputs", inputs, None),
                ("labels", labels, self.metadata.ignore_label_id),
            ):
                path = array_file(self.folder, name, field)
                for start in range(0, len(array), _BLOCK):
                    _check_range(
                        path, field, array[start : start + _BLOCK], self.metadata.vocab_size, ignored, start
                    )


def array_file(half: Path, set_name: str, field: str) -> Path:
    """The file of one array of one set."""
    return half / f"{set_name}__{field}.npy"


def _read_set(half: Path, set_name: str, seq_len: int) -> dict[str, np.ndarray]:
    arrays = {field: _read_array(array_file(half, set_name, field)) for field in FIELDS}

    def require(field: str, holds: bool, given: object, rule: str) -> None:
        if not holds:
            raise DataError(str(array_file(half, set_name, field)), given, rule)

    for field, array in arrays.items():
        ndim = 2 if field in ("inputs", "labels") else 1
        require(field, array.ndim == ndim, f"shape {array.shape}", f"must have {ndim} dimension(s)")
        require(field, array.dtype.kind in "iu", f"dtype {array.dtype}", "must hold integers")
    shape = (len(arrays["inputs"]), seq_len)
    for field in ("inputs", "labels"):
        given = arrays[field].shape
        require(field, given == shape, f"shape {given}", f"must be [examples, seq_len], here {shape}")
    puzzles = len(arrays["puzzle_identifiers"])
    for field, count, what in (
        ("puzzle_indices", shape[0], "examples"),
        ("group_indices", puzzles, "puzzles"),
    ):
        indices = arrays[field].astype(np.int64)
        ascends = (
            len(indices) >= 2 and indices[0] == 0 and indices[-1] == count and (np.diff(indices) > 0).all()
        )
        require(
            field, bool(ascends), _ends(indices), f"must ascend without repeats from 0 to the {count} {what}"
        )
    starts = len(arrays["puzzle_indices"])
    rule = f"must have one more than the {puzzles} puzzle identifiers"
    require("puzzle_indices", starts == puzzles + 1, f"{starts} entries", rule)
    return arrays


def _read_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(str(path), "no such file", LAYOUT) from None
    except (ValueError, OSError, EOFError) as error:
        raise DataError(str(path), str(error), "must be a numpy array file of integers") from None


def _ends(indices: np.ndarray) -> str:
    return f"{len(indices)} entries" + (f" from {indices[0]} to {indices[-1]}" if len(indices) else "")


def _check_range(
    path: Path, what: str, values: np.ndarray, limit: int, also: int | None, first_row: int = 0
) -> None:
    wrong = (values < 0) | (values >= limit)
    if also is not None:
        wrong &= values != also
    if wrong.any():
        place = np.argwhere(wrong)[0]
        given = f"{values[tuple(place)]} in row {first_row + int(place[0])}"
        raise DataError(str(path), given, f"{what} must lie in 0..{limit - 1}")


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """Index arrays of consecutive sets as one."""
    joined = [np.zeros(1, np.int64)]
    for part in parts:
        joined.append(part[1:].astype(np.int64) + joined[-1][-1])
    return np.concatenate(joined)


def _gather(arrays: list[np.ndarray], starts: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Rows `indices` of `arrays` as if they were one behind the other, int32."""
    if len(arrays) == 1:
        return arrays[0][indices].astype(np.int32)
    owner = np.searchsorted(starts, indices, side="right") - 1
    rows = np.empty((len(indices), arrays[0].shape[1]), np.int32)
    for number, array in enumerate(arrays):
        mine = owner == number
        rows[mine] = array[indices[mine] - starts[number]]
    return rows
