"""Data sets in the official directory format: one half (`train` or `test`), read and checked.

A half holds examples (rows of `inputs` and `labels`); consecutive examples make a puzzle, which has one
identifier; consecutive puzzles make a group (one puzzle and its augmentations). Source: sapientinc/HRM,
`puzzle_dataset.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hrm.config.errors import DataError
from hrm.config.schema import build_config, read_yaml
from hrm.config.validation import at_least, check, each
from hrm.data.base import IGNORED_LABEL

METADATA_FILE = "dataset.json"
TOKEN_FIELDS = ("inputs", "labels")
FIELDS = (*TOKEN_FIELDS, "puzzle_identifiers", "puzzle_indices", "group_indices")
LAYOUT = "a data set folder holds train/ and test/, each with dataset.json and <set>__inputs.npy and so on"
_BLOCK = 65536
"""Rows that are checked at once."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata of the tokens in `dataset.json`; its other fields are not used."""

    vocab_size: int = 0
    seq_len: int = 0
    num_puzzle_identifiers: int = 0
    ignore_label_id: int | None = None
    sets: list[str] = dataclasses.field(default_factory=list)

    @property
    def model_fields(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("vocab_size", "seq_len", "num_puzzle_identifiers")}


RULES = (
    *at_least(1, "vocab_size", "seq_len", "num_puzzle_identifiers"),
    *each(
        ["sets"],
        lambda names: names and all(isinstance(name, str) for name in names),
        "must list at least one name",
    ),
)


def read_metadata(half: Path) -> Metadata:
    """Read the metadata of `half`, a `train` or `test` folder.

    Raises:
        UserError: the folder or file is missing, or a value is missing or out of range.
    """
    if not half.is_dir():
        raise DataError(str(half), "no such folder", LAYOUT, "Check the path of task=")
    path = half / METADATA_FILE
    if not path.is_file():
        raise DataError(str(path), "no such file", LAYOUT)
    values, names = read_yaml(path), {field.name for field in dataclasses.fields(Metadata)}
    where = f"{path}: metadata"
    metadata = build_config(Metadata, {name: values[name] for name in names & values.keys()}, where)
    check(metadata, RULES, where)
    return metadata


class Half:
    """The examples of `train` or `test`, all its sets one after the other.

    Args:
        folder: the half's folder.

    Raises:
        UserError: a file is missing, cannot be read, or does not fit the others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = read_metadata(folder)
        sets = [_read_set(folder, name, self.metadata.seq_len) for name in self.metadata.sets]
        self._tokens = {field: [arrays[field] for arrays in sets] for field in TOKEN_FIELDS}
        identifiers = [arrays["puzzle_identifiers"] for arrays in sets]
        self.puzzle_identifiers = np.concatenate(identifiers).astype(np.int32)
        self.puzzle_starts = _join_indices([arrays["puzzle_indices"] for arrays in sets])
        """First example of each puzzle, and the end; int64 [puzzles + 1]."""
        self.group_starts = _join_indices([arrays["group_indices"] for arrays in sets])
        """First puzzle of each group, and the end; int64 [groups + 1]."""

    @property
    def files(self) -> list[Path]:
        """Every file that the half is read from."""
        arrays = [get_array_file(self.folder, name, field) for name in self.metadata.sets for field in FIELDS]
        return [self.folder / METADATA_FILE, *arrays]

    @property
    def num_examples(self) -> int:
        return int(self.puzzle_starts[-1])

    @property
    def num_groups(self) -> int:
        return len(self.group_starts) - 1

    def get_examples(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and labels int32 [n, seq_len] of examples `indices`, ignored labels as IGNORED_LABEL."""
        inputs, labels = (_gather_rows(self._tokens[field], indices) for field in TOKEN_FIELDS)
        if self.metadata.ignore_label_id is not None:
            labels[labels == self.metadata.ignore_label_id] = IGNORED_LABEL
        return inputs, labels

    def get_identifiers(self, indices: np.ndarray) -> np.ndarray:
        """Return the puzzle identifiers int32 [n] of examples `indices`."""
        return self.puzzle_identifiers[np.searchsorted(self.puzzle_starts, indices, side="right") - 1]

    def check_values(self) -> None:
        """Read all tokens and identifiers once.

        Raises:
            DataError: one is outside the range that the metadata give.
        """
        limit = self.metadata.num_puzzle_identifiers
        _check_range(self.folder, "puzzle_identifiers", self.puzzle_identifiers, limit)
        for field, also in (("inputs", None), ("labels", self.metadata.ignore_label_id)):
            for name, array in zip(self.metadata.sets, self._tokens[field]):
                path = get_array_file(self.folder, name, field)
                _check_range(path, field, array, self.metadata.vocab_size, also)


def get_array_file(half: Path, set_name: str, field: str) -> Path:
    """Return the file of one array of one set."""
    return half / f"{set_name}__{field}.npy"


def _read_set(half: Path, set_name: str, seq_len: int) -> dict[str, np.ndarray]:
    arrays = {field: _read_array(get_array_file(half, set_name, field)) for field in FIELDS}

    def require(field: str, holds: bool, given: object, rule: str) -> None:
        if not holds:
            raise DataError(str(get_array_file(half, set_name, field)), given, rule)

    for field, array in arrays.items():
        ndim = 2 if field in TOKEN_FIELDS else 1
        require(field, array.ndim == ndim, f"shape {array.shape}", f"must have {ndim} dimension(s)")
        require(field, array.dtype.kind in "iu", f"dtype {array.dtype}", "must hold integers")
    shape = (len(arrays["inputs"]), seq_len)
    for field in TOKEN_FIELDS:
        given = arrays[field].shape
        require(field, given == shape, f"shape {given}", f"must be [examples, seq_len], here {shape}")
    num_puzzles = len(arrays["puzzle_identifiers"])
    for field, count, what in (
        ("puzzle_indices", len(arrays["inputs"]), "examples"),
        ("group_indices", num_puzzles, "puzzles"),
    ):
        indices = arrays[field].astype(np.int64)
        ascends = len(indices) >= 2 and (indices[0], indices[-1]) == (0, count) and np.diff(indices).min() > 0
        ends = f" from {indices[0]} to {indices[-1]}" if len(indices) else ""
        rule = f"must ascend without repeats from 0 to the {count} {what}"
        require(field, bool(ascends), f"{len(indices)} entries{ends}", rule)
    num_starts = len(arrays["puzzle_indices"])
    rule = f"must have one more than the {num_puzzles} puzzle identifiers"
    require("puzzle_indices", num_starts == num_puzzles + 1, f"{num_starts} entries", rule)
    return arrays


def _read_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(str(path), "no such file", LAYOUT) from None
    except (ValueError, OSError, EOFError) as error:
        raise DataError(str(path), str(error), "must be a numpy array file of integers") from None


def _check_range(path: Path, what: str, array: np.ndarray, limit: int, also: int | None = None) -> None:
    """Check that all values are in 0..limit - 1, or equal to `also`."""
    for start in range(0, len(array), _BLOCK):
        values = array[start : start + _BLOCK]
        wrong = ((values < 0) | (values >= limit)) & (values != also)
        if wrong.any():
            place = np.argwhere(wrong)[0]
            given = f"{values[tuple(place)]} in row {start + int(place[0])}"
            raise DataError(str(path), given, f"{what} must lie in 0..{limit - 1}")


def _join_indices(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Join the index arrays of consecutive sets."""
    joined = [np.zeros(1, np.int64)]
    for part in parts:
        joined.append(part[1:].astype(np.int64) + joined[-1][-1])
    return np.concatenate(joined)


def _gather_rows(arrays: Sequence[np.ndarray], indices: np.ndarray) -> np.ndarray:
    """Return rows `indices`, int32, of arrays that are numbered as if they were one."""
    if len(arrays) == 1:
        return arrays[0][indices].astype(np.int32)
    starts = np.cumsum([0, *map(len, arrays)])
    owner = np.searchsorted(starts, indices, side="right") - 1
    rows = np.empty((len(indices), arrays[0].shape[1]), np.int32)
    for number, array in enumerate(arrays):
        mine = owner == number
        rows[mine] = array[indices[mine] - starts[number]]
    return rows
