"""`task=FOLDER`: a data set in the official directory format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hrm.config.errors import DataError
from hrm.config.validation import at_least, between, check, each
from hrm.data.base import Batch, Dataset, Progress, TaskConfig, load_split, make_absolute, save_split
from hrm.data.cache import compute_fingerprint, describe_files, get_or_build, hash_file
from hrm.data.official_format import LAYOUT, Half, read_metadata
from hrm.data.sampling import create_epoch_generator, take_from_epochs
from hrm.data.sudoku.dataset import BLANK_TOKEN, VOCAB_SIZE
from hrm.data.sudoku.grid import GRIDS, Grid, are_solutions, compute_class_ids

VERSION = 1
"""Increased when the same folder would be divided in another way; part of the cache's key."""
TRAIN_GROUPS = "train_groups.npy"
ABOUT = "about.json"
"""`blank_token`, `supports_verdict`, and the checksums of the files that the set was made from."""
GRIDS_WITHOUT_VERDICT = (Grid(2, 2),)
"""Grids with too few different puzzles to decide between architectures."""


@dataclass(frozen=True, kw_only=True)
class DirectoryConfig(TaskConfig):
    """A folder in the official format. A validation split is taken from its train/ by group.

    Where each puzzle has its own identifier, a held-out group's embedding is never trained: validation then
    measures puzzles that the model has never met.

    Raises:
        ConfigError: a value is out of range.
    """

    summary: ClassVar[str] = "a folder in the official directory format"

    valid_fraction: float = 0.1
    """Share of the training groups held out for validation (for Sudoku: of symmetry classes), at least one."""
    valid_puzzles: int = 256
    """Most validation puzzles: the first of each held-out group or class."""
    test_puzzles: int = 1000
    """Most test examples; a random sample if there are more."""
    data_seed: int = 0
    """Determines which groups and examples these are."""

    def __post_init__(self) -> None:
        check(self, RULES, "task")
        make_absolute(self, "name")

    def prepare(self, progress: Progress | None = None) -> Path:
        """Check the folder and divide it, on the first call.

        Raises:
            UserError: the folder is missing or malformed, or too small to divide.
        """
        root = Path(self.name)
        if not root.is_dir():
            raise DataError(f"task={root}", "no such folder", LAYOUT, "Check the path of task=")
        train, test = Half(root / "train"), Half(root / "test")
        fields = train.metadata.model_fields
        if test.metadata.model_fields != fields:
            raise DataError(str(test.folder), test.metadata.model_fields, f"must agree with train/: {fields}")
        files = [*train.files, *test.files]
        options = (self.valid_fraction, self.valid_puzzles, self.test_puzzles, self.data_seed)
        key = {"version": VERSION, "files": describe_files(files), "options": options}

        def build(folder: Path) -> None:
            for done, half in enumerate((train, test)):
                half.check_values()
                if progress:
                    progress(done + 1, 2)
            grid = _detect_sudoku(train, test)
            _divide(self, train, test, grid, folder)
            about = {
                "blank_token": BLANK_TOKEN if grid else None,
                "supports_verdict": grid not in GRIDS_WITHOUT_VERDICT,
                "sources": {str(path.relative_to(root)): hash_file(path) for path in files},
            }
            (folder / ABOUT).write_text(json.dumps(about))

        return get_or_build("directory", key, build)

    def open(self, folder: Path) -> Dataset:
        return DirectoryDataset(self, folder)

    def get_model_fields(self) -> dict[str, int]:
        return read_metadata(Path(self.name) / "train").model_fields


RULES = (
    *each(["name"], bool, "must be the path of a folder"),
    *between(0, 1, "valid_fraction"),
    *at_least(1, "valid_puzzles", "test_puzzles"),
    *at_least(0, "data_seed"),
)


class GroupSampler:
    """The training stream: each epoch shuffles the groups and takes all examples of a random puzzle of each.

    The official loader does the same except between batches and epochs: it cuts a puzzle short that does not fit into
    a batch, and drops an epoch's last partial batch. Here the stream continues from batch to batch, and each epoch is
    cut to the fewest examples that any epoch has, so that the position of a step does not depend on its history.

    Args:
        half: the training half.
        groups: the groups to sample, int [n], not empty.
    """

    def __init__(self, half: Half, groups: np.ndarray) -> None:
        self._half, self.groups = half, groups
        self.puzzle_starts, self.group_starts = half.puzzle_starts, half.group_starts
        smallest = np.minimum.reduceat(np.diff(self.puzzle_starts), self.group_starts[:-1])
        self.epoch_length = int(smallest[groups].sum())
        self._order = lru_cache(maxsize=2)(self._shuffle_epoch)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._half, self.groups)  # a cache cannot be pickled

    def take(self, step: int, batch_size: int, seed: int) -> np.ndarray:
        """Return the examples of a step counted from 0, int64 [batch_size]."""
        return take_from_epochs(step, batch_size, self.epoch_length, lambda epoch: self._order(seed, epoch))

    def _shuffle_epoch(self, seed: int, epoch: int) -> np.ndarray:
        rng = create_epoch_generator(seed, epoch)
        groups = rng.permutation(self.groups)
        puzzles = rng.integers(self.group_starts[groups], self.group_starts[groups + 1])
        starts, sizes = self.puzzle_starts[puzzles], np.diff(self.puzzle_starts)[puzzles]
        visits = np.repeat(np.arange(len(puzzles)), sizes)
        within = np.arange(len(visits)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        shuffled = np.lexsort((rng.random(len(visits)), visits))
        return (starts[visits] + within)[shuffled][: self.epoch_length]


class DirectoryDataset(Dataset):
    """A divided folder: validation and test in the cache, training read in place.

    Args:
        config: its `name` is the folder.
        folder: the prepared folder.
    """

    def __init__(self, config: DirectoryConfig, folder: Path) -> None:
        self.config, self.folder, self.name = config, folder, config.name
        self._train = Half(Path(config.name) / "train")
        self.model_fields = self._train.metadata.model_fields
        self.sampler = GroupSampler(self._train, np.load(folder / TRAIN_GROUPS))
        about = json.loads((folder / ABOUT).read_text())
        self.supports_verdict = about["supports_verdict"]
        self.valid, self.test = (
            load_split(folder, name, blank_token=about["blank_token"]) for name in ("valid", "test")
        )
        self.fingerprint = compute_fingerprint(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder)

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        return _get_arrays(self._train, self.sampler.take(step, batch_size, seed))


def _get_arrays(half: Half, examples: np.ndarray) -> dict[str, np.ndarray]:
    inputs, labels = half.get_examples(examples)
    return {"inputs": inputs, "labels": labels, "puzzle_identifiers": half.get_identifiers(examples)}


def _divide(config: DirectoryConfig, train: Half, test: Half, grid: Grid | None, folder: Path) -> None:
    """Write the groups to train on, and the validation and test examples."""
    rng = create_epoch_generator(config.data_seed, 0)
    test_examples = np.arange(test.num_examples)
    if test.num_examples > config.test_puzzles:
        test_examples = np.sort(rng.choice(test.num_examples, config.test_puzzles, replace=False))
    classes, test_classes = _classify(train, test, test_examples, grid)
    groups = rng.permutation(train.num_groups)
    groups = groups[~np.isin(classes[groups], test_classes)]
    _, first_of_class = np.unique(classes[groups], return_index=True)
    distinct = groups[np.sort(first_of_class)]
    num_valid = min(config.valid_puzzles, max(1, round(config.valid_fraction * len(distinct))))
    held_out = distinct[:num_valid]
    train_groups = np.sort(groups[~np.isin(classes[groups], classes[held_out])])
    if not len(train_groups):
        num_dropped = train.num_groups - len(groups)
        given = f"{train.num_groups} group(s), {num_dropped} of them symmetries of test puzzles"
        rule = "some must be left to train on, apart from validation and from symmetries of test puzzles"
        raise DataError(str(train.folder), given, rule, "Give more groups")
    np.save(folder / TRAIN_GROUPS, train_groups)
    first_puzzles = train.group_starts[held_out]
    spans = zip(train.puzzle_starts[first_puzzles], train.puzzle_starts[first_puzzles + 1])
    valid_examples = np.concatenate([np.arange(start, end) for start, end in spans])
    save_split(folder, "valid", **_get_arrays(train, valid_examples))
    save_split(folder, "test", **_get_arrays(test, test_examples))


def _classify(
    train: Half, test: Half, test_examples: np.ndarray, grid: Grid | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each training group and of each test example: no class may be in two splits.

    For Sudoku the symmetry class, that of a group's first puzzle; for other tasks each group is a class.
    """
    if grid is None:
        return np.arange(train.num_groups), np.zeros(0, np.int64)
    puzzles, _ = train.get_examples(train.puzzle_starts[train.group_starts[:-1]])
    test_puzzles, _ = test.get_examples(test_examples)
    return compute_class_ids(puzzles - 1, grid), compute_class_ids(test_puzzles - 1, grid)


def _detect_sudoku(train: Half, test: Half) -> Grid | None:
    """Return the grid of a Sudoku set in our vocabulary; None for any other task."""
    grid = GRIDS.get(train.metadata.seq_len)
    if grid is None or train.metadata.vocab_size != VOCAB_SIZE:
        return None
    for half in (train, test):
        inputs, labels = half.get_examples(np.arange(min(half.num_examples, 1000)))
        if inputs.min() < 1 or inputs.max() > grid.size + 1 or not are_solutions(labels - 1, grid).all():
            return None
    return grid
