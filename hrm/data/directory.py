"""`task=FOLDER`: a data set in the official directory format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.config.validation import at_least, between, check, each
from hrm.data.base import Batch, Dataset, Split, TaskKind, make_absolute
from hrm.data.cache import compute_fingerprint, get_or_build, hash_file
from hrm.data.official_format import LAYOUT, Half, read_metadata
from hrm.data.sampling import create_epoch_generator, take_from_epochs
from hrm.data.sudoku.dataset import BLANK_TOKEN, VOCAB_SIZE
from hrm.data.sudoku.grid import GRIDS, Grid, are_solutions, compute_class_ids

TRAIN_GROUPS = "train_groups.npy"
ABOUT = "about.json"
"""`blank_token`, `supports_verdict`, and the checksums of the files that the set was made from."""
SPLIT_FIELDS = ("inputs", "labels", "puzzle_identifiers")


class GroupSampler:
    """The training stream: each epoch shuffles the groups and takes all examples of a random puzzle of each.

    As the official loader does, but for the seams: there a puzzle that does not fit into a batch is cut short
    and an epoch's last partial batch is dropped; here the stream runs on from batch to batch, and each epoch
    is cut to the fewest examples that any epoch has. So the position of a step needs no history.

    Args:
        half: the training half.
        groups: the groups to sample, int [n], not empty.
    """

    def __init__(self, half: Half, groups: np.ndarray) -> None:
        self._half, self.groups = half, groups
        self.puzzle_starts, self.group_starts = half.puzzle_starts, half.group_starts
        smallest = np.minimum.reduceat(np.diff(self.puzzle_starts), self.group_starts[:-1])
        self.epoch_length = int(smallest[groups].sum())
        self._order = lru_cache(maxsize=2)(self._epoch)

    def examples(self, step: int, batch_size: int, seed: int) -> np.ndarray:
        """The examples of 0-based `step`, int64 [batch_size]."""
        return take_from_epochs(step, batch_size, self.epoch_length, lambda epoch: self._order(seed, epoch))

    def _epoch(self, seed: int, epoch: int) -> np.ndarray:
        rng = create_epoch_generator(seed, epoch)
        groups = rng.permutation(self.groups)
        puzzles = rng.integers(self.group_starts[groups], self.group_starts[groups + 1])
        starts, sizes = self.puzzle_starts[puzzles], np.diff(self.puzzle_starts)[puzzles]
        visits = np.repeat(np.arange(len(puzzles)), sizes)
        within = np.arange(len(visits)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        shuffled = np.lexsort((rng.random(len(visits)), visits))
        return (starts[visits] + within)[shuffled][: self.epoch_length]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._half, self.groups)  # a cache cannot be pickled


class DirectoryDataset(Dataset):
    """What `hrm.data.directory` prepared: validation and test copied to the cache, training read in place.

    Args:
        config: its `name` is the folder.
        folder: the prepared folder.
    """

    def __init__(self, config: Any, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.name = config.name
        self._train = Half(Path(config.name) / "train")
        self.model_fields = self._train.metadata.model_fields
        self.sampler = GroupSampler(self._train, np.load(folder / TRAIN_GROUPS))
        about = json.loads((folder / ABOUT).read_text())
        self.blank_token, self.supports_verdict = about["blank_token"], about["supports_verdict"]
        self.valid, self.test = (self._split(name) for name in ("valid", "test"))
        self.fingerprint = compute_fingerprint(folder)

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        chosen = self.sampler.examples(step, batch_size, seed)
        inputs, labels = self._train.examples(chosen)
        return {"inputs": inputs, "labels": labels, "puzzle_identifiers": self._train.identifiers(chosen)}

    def _split(self, name: str) -> Split:
        arrays = (np.load(self.folder / f"{name}_{field}.npy", mmap_mode="r") for field in SPLIT_FIELDS)
        inputs, labels, identifiers = arrays
        return Split(inputs, labels, identifiers, self.blank_token)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder)


VERSION = 1
"""Goes up when the same folder would be divided in another way; caches hold it."""
GRIDS_WITHOUT_VERDICT = (Grid(2, 2),)
"""Too few different puzzles to decide between architectures."""


@dataclass(frozen=True, kw_only=True)
class DirectoryConfig:
    """A folder in the official format. A validation split is carved from its train/ by group.

    Where each puzzle has its own identifier, a held-out group's embedding is never trained: validation then
    measures puzzles that the model has never met.

    Raises:
        ConfigError: a value is out of range.
    """

    name: str = ""
    """Path of the folder that holds train/ and test/; made absolute, so that it holds in every process."""
    valid_fraction: float = 0.1
    """Share of the training groups held out for validation (of Sudoku: of symmetry classes), at least one."""
    valid_puzzles: int = 256
    """Most validation puzzles: the first of each group, or class, held out."""
    test_puzzles: int = 1000
    """Most test examples, a random sample where there are more."""
    data_seed: int = 0
    """Decides which groups and examples these are."""

    def __post_init__(self) -> None:
        check(self, RULES, "task")
        make_absolute(self, "name")


RULES = (
    *each(["name"], bool, "must be the path of a folder"),
    *between(0, 1, "valid_fraction"),
    *at_least(1, "valid_puzzles", "test_puzzles"),
    *at_least(0, "data_seed"),
)


def prepare(config: DirectoryConfig, progress: Callable[[int, int], None] | None = None) -> Path:
    """Checks the folder and divides it, on the first call. Sizes and times tell whether files changed.

    Raises:
        DataError: the folder is missing or malformed, or too small to divide.
    """
    root = Path(config.name)
    if not root.is_dir():
        raise DataError(f"task={root}", "no such folder", LAYOUT, "Check the path of task=")
    train, test = Half(root / "train"), Half(root / "test")
    fields = train.metadata.model_fields
    if test.metadata.model_fields != fields:
        raise DataError(str(test.folder), test.metadata.model_fields, f"must agree with train/: {fields}")
    files = [*train.files, *test.files]
    stats = {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
    options = (config.valid_fraction, config.valid_puzzles, config.test_puzzles, config.data_seed)
    key = {"version": VERSION, "files": stats, "options": options}

    def build(folder: Path) -> None:
        for done, half in enumerate((train, test)):
            half.check_values()
            if progress:
                progress(done + 1, 2)
        grid = _sudoku_grid(train, test)
        _divide(config, train, test, grid, folder)
        about = {
            "blank_token": BLANK_TOKEN if grid else None,
            "supports_verdict": grid not in GRIDS_WITHOUT_VERDICT,
            "sources": {str(path.relative_to(root)): hash_file(path) for path in files},
        }
        (folder / ABOUT).write_text(json.dumps(about))

    return get_or_build("directory", key, build)


def _divide(config: DirectoryConfig, train: Half, test: Half, grid: Grid | None, folder: Path) -> None:
    """Writes the groups to train on, and the validation and test examples."""
    rng = create_epoch_generator(config.data_seed, 0)
    test_examples = np.arange(test.num_examples)
    if test.num_examples > config.test_puzzles:
        test_examples = np.sort(rng.choice(test.num_examples, config.test_puzzles, replace=False))
    classes, test_classes = _classes(train, test, test_examples, grid)
    groups = rng.permutation(train.num_groups)
    groups = groups[~np.isin(classes[groups], test_classes)]
    _, first_of_class = np.unique(classes[groups], return_index=True)
    distinct = groups[np.sort(first_of_class)]
    num_valid = min(config.valid_puzzles, max(1, round(config.valid_fraction * len(distinct))))
    held_out = distinct[:num_valid]
    train_groups = np.sort(groups[~np.isin(classes[groups], classes[held_out])])
    if not len(train_groups):
        num_dropped = train.num_groups - len(groups)
        found = f"{train.num_groups} group(s), {num_dropped} of them symmetries of test puzzles"
        rule = "some must be left to train on beside validation, and apart from test puzzles' symmetries"
        raise DataError(str(train.folder), found, rule, "Give more groups")
    np.save(folder / TRAIN_GROUPS, train_groups)
    first_puzzles = train.group_starts[held_out]
    spans = zip(train.puzzle_starts[first_puzzles], train.puzzle_starts[first_puzzles + 1])
    valid_examples = np.concatenate([np.arange(start, end) for start, end in spans])
    for name, half, examples in (("valid", train, valid_examples), ("test", test, test_examples)):
        for field, array in zip(SPLIT_FIELDS, (*half.examples(examples), half.identifiers(examples))):
            np.save(folder / f"{name}_{field}.npy", array)


def _classes(
    train: Half, test: Half, test_examples: np.ndarray, grid: Grid | None
) -> tuple[np.ndarray, np.ndarray]:
    """What must not lie in two splits, for each training group and each test example.

    Symmetry classes for Sudoku, those of a group's first puzzle; for other tasks each group is a class.
    """
    if grid is None:
        return np.arange(train.num_groups), np.zeros(0, np.int64)
    first_examples = train.puzzle_starts[train.group_starts[:-1]]
    puzzles, _ = train.examples(first_examples)
    test_puzzles, _ = test.examples(test_examples)
    return compute_class_ids(puzzles - 1, grid), compute_class_ids(test_puzzles - 1, grid)


def _sudoku_grid(train: Half, test: Half) -> Grid | None:
    """The grid of a Sudoku set in our vocabulary; None for any other task."""
    grid = GRIDS.get(train.metadata.seq_len)
    if grid is None or train.metadata.vocab_size != VOCAB_SIZE:
        return None
    for half in (train, test):
        inputs, labels = half.examples(np.arange(min(half.num_examples, 1000)))
        if inputs.min() < 1 or inputs.max() > grid.size + 1 or not are_solutions(labels - 1, grid).all():
            return None
    return grid


def _counted_fields(config: DirectoryConfig) -> dict[str, int]:
    return read_metadata(Path(config.name) / "train").model_fields


DIRECTORY = TaskKind(
    config_class=DirectoryConfig,
    family="puzzle",
    prepare=prepare,
    open=DirectoryDataset,
    summary="a folder in the official directory format",
    counted_fields=_counted_fields,
)
