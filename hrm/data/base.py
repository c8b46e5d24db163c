"""What every task provides: three splits of arrays, and training batches that depend on seed and step alone."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

IGNORED_LABEL = -100
"""A label that no loss or metric counts."""

Batch = dict[str, np.ndarray]
"""`inputs` int32 [B, S] and `labels` int32 [B, S] (IGNORED_LABEL where ignored); for puzzles also
`puzzle_identifiers` int32 [B], for text that is evaluated also `label_bytes` int32 [B]."""

Progress = Callable[[int, int], object]
"""Called with what is done and the total while data are prepared."""


@dataclass(frozen=True)
class Split:
    """Examples of one split, in a fixed order. Arrays may be memory maps."""

    inputs: np.ndarray
    """Tokens, int32 [N, S]."""
    labels: np.ndarray
    """Targets, int32 [N, S]; IGNORED_LABEL where no answer is wanted."""
    puzzle_identifiers: np.ndarray | None = None
    """Rows of the puzzle embedding, int32 [N]; None for a task without puzzles."""
    blank_token: int | None = None
    """The token of a cell to fill in, for the accuracy on blank cells; None for a task without them."""
    label_bytes: np.ndarray | None = None
    """Bytes of text that each example's labels stand for, int32 [N]; None for a task that is not text."""

    def __len__(self) -> int:
        return len(self.inputs)

    def get_batch(self, start: int, size: int) -> Batch:
        """Return the examples from `start` on, at most `size` of them."""
        arrays = {name: getattr(self, name) for name in SPLIT_ARRAYS}
        return {name: array[start : start + size] for name, array in arrays.items() if array is not None}


SPLIT_ARRAYS = tuple(field.name for field in dataclasses.fields(Split) if field.name != "blank_token")


def save_split(folder: Path, name: str, **arrays: np.ndarray) -> None:
    """Write arrays of a split, each as `<name>_<array>.npy`."""
    for field, array in arrays.items():
        np.save(folder / f"{name}_{field}.npy", array)


def load_split(folder: Path, name: str, **more: Any) -> Split:
    """Return a split with memory maps of the arrays that `save_split` wrote, and with other fields from `more`."""
    paths = {field: folder / f"{name}_{field}.npy" for field in SPLIT_ARRAYS}
    return Split(
        **{field: np.load(path, mmap_mode="r") for field, path in paths.items() if path.exists()}, **more
    )


class Dataset(ABC):
    """Prepared data of one task. Opening it is cheap (memory maps), so that every trial can."""

    name: str
    model_fields: Mapping[str, int]
    """The model's fields that the data decide, e.g. vocab_size, seq_len, num_puzzle_identifiers."""
    fingerprint: str
    """Hash of the prepared data: equal data, equal fingerprint."""
    supports_verdict: bool
    """False for smoke tests, whose results must not decide between architectures."""
    num_train_sequences: int | None = None
    """Examples of one pass over the training data; None if there is no such pass."""

    valid: Split
    test: Split
    """Read only for confirmed configurations, at the end."""

    @abstractmethod
    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        """Return the batch of a step, counted from 0.

        It depends on the arguments alone, so that the step is the position in the data.
        """


@dataclass(frozen=True, kw_only=True)
class TaskConfig(ABC):
    """The options of a task, and how to prepare and open its data. All options have defaults.

    A task outside this package is a subclass of this class, given as `task=package.module:Class`.
    """

    family: ClassVar[str] = "puzzle"
    """The kind of models that learn it, see `hrm.models.registry.Family.tasks`."""
    summary: ClassVar[str] = ""
    """Its description in a line."""

    name: str = ""
    """As in `task=NAME`."""

    @abstractmethod
    def prepare(self, progress: Progress | None = None) -> Path:
        """Prepare the data, or find them in the cache, and return their folder.

        May be called again, and from several processes at once.
        """

    @abstractmethod
    def open(self, folder: Path) -> Dataset:
        """Open the data that `prepare` prepared."""

    def get_model_fields(self) -> Mapping[str, int] | None:
        """Return the `model_fields` of the data without preparing them; None if only the data tell them."""
        return None


def make_absolute(config: object, field: str) -> None:
    """Make the path in a field of a frozen config absolute, so that it is valid in every process."""
    object.__setattr__(config, field, str(Path(getattr(config, field)).expanduser().absolute()))


class InMemoryDataset:
    """A data set that is pickled with its arrays. On its own, a data set is pickled as a reference to its files.

    Args:
        dataset: its arrays may be memory maps.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle_in_memory, (type(self.dataset), vars(self.dataset))


def _unpickle_in_memory(cls: type[Dataset], state: dict[str, Any]) -> InMemoryDataset:
    dataset = object.__new__(cls)
    vars(dataset).update(state)
    return InMemoryDataset(dataset)
