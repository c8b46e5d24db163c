"""A data set in the official directory format, in batches sampled by group as officially."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hrm.tasks.base import Batch, Dataset, Split
from hrm.tasks.cache import content_fingerprint
from hrm.tasks.official_format import Half
from hrm.tasks.sampling import epoch_generator, take_from_epochs

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
        rng = epoch_generator(seed, epoch)
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
    """What `hrm.tasks.directory` prepared: validation and test copied to the cache, training read in place.

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
        self.fingerprint = content_fingerprint(folder)

    def train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        chosen = self.sampler.examples(step, batch_size, seed)
        inputs, labels = self._train.examples(chosen)
        return {"inputs": inputs, "labels": labels, "puzzle_identifiers": self._train.identifiers(chosen)}

    def _split(self, name: str) -> Split:
        arrays = (np.load(self.folder / f"{name}_{field}.npy", mmap_mode="r") for field in SPLIT_FIELDS)
        inputs, labels, identifiers = arrays
        return Split(inputs, labels, identifiers, self.blank_token)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder)
