"""What every task gives a trainer: three splits of arrays, and batches that depend on seed and step alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


def make_absolute(config: object, field: str) -> None:
    """Makes the path in a field of a frozen config absolute, so that it holds in every process."""
    object.__setattr__(config, field, str(Path(getattr(config, field)).expanduser().absolute()))


IGNORED_LABEL = -100
"""A label that no loss or metric counts."""

Batch = dict[str, np.ndarray]
"""`inputs` int32 [B, S] and `labels` int32 [B, S] (IGNORED_LABEL where ignored); of puzzles also
`puzzle_identifiers` int32 [B], of text that is evaluated also `label_bytes` int32 [B]."""


@dataclass(frozen=True)
class Split:
    """Examples of one split, in a fixed order. Arrays may be memory maps."""

    inputs: np.ndarray
    """Tokens, int32 [N, S]."""
    labels: np.ndarray
    """Targets, int32 [N, S]; IGNORED_LABEL where no answer is wanted."""
    puzzle_identifiers: np.ndarray | None = None
    """Rows of the puzzle embedding, int32 [N]; None where the task has no puzzles."""
    blank_token: int | None = None
    """The token of a cell to fill in, for accuracy on blank cells; None where the task has none."""
    label_bytes: np.ndarray | None = None
    """Bytes of text that each example's labels stand for, int32 [N]; None where the task is no text."""

    def __len__(self) -> int:
        return len(self.inputs)

    def get_batch(self, start: int, size: int) -> Batch:
        """The examples from `start` on, at most `size` of them."""
        arrays = {
            "inputs": self.inputs,
            "labels": self.labels,
            "puzzle_identifiers": self.puzzle_identifiers,
            "label_bytes": self.label_bytes,
        }
        return {name: array[start : start + size] for name, array in arrays.items() if array is not None}


class Dataset(ABC):
    """Prepared data of one task. Opened cheaply (memory maps), so that every trial can."""

    name: str
    model_fields: Mapping[str, int]
    """What the data decide of a model's config, e.g. vocab_size, seq_len, num_puzzle_identifiers."""
    fingerprint: str
    """Hash of the prepared data: equal data, equal fingerprint."""
    supports_verdict: bool
    """False for smoke tests, whose results must not decide between architectures."""
    num_train_sequences: int | None = None
    """Examples of one pass over the training data; None where a pass means nothing."""

    valid: Split
    test: Split
    """Read only for confirmed configurations, at the end."""

    @abstractmethod
    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        """The batch of 0-based `step`: a pure function of its arguments, so data position is the step."""


@dataclass(frozen=True)
class TaskKind:
    """A registered kind of task.

    Args:
        config_class: flat frozen dataclass of the task's options, all with defaults and a field `name`.
        family: the model family that the task fits.
        prepare: makes or finds the cached data, idempotent and safe to call from several processes; returns
            its folder. Reports progress through the callback (done, total) when given one.
        open: opens what `prepare` made.
        summary: one line for listings.
        counted_fields: the `model_fields` known from the config alone, without preparing data, or None
            where only the data tell.
    """

    config_class: type
    family: str
    prepare: Callable[..., Path]
    open: Callable[[Any, Path], Dataset]
    summary: str
    counted_fields: Callable[[Any], Mapping[str, int] | None]


class InMemoryDataset:
    """A data set that takes its arrays along when it is pickled. Alone, it is a reference to its files.

    Args:
        dataset: its arrays may be memory maps.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (type(self.dataset), vars(self.dataset))


def _arrived(kind: type[Dataset], state: dict[str, Any]) -> InMemoryDataset:
    dataset = object.__new__(kind)
    vars(dataset).update(state)
    return InMemoryDataset(dataset)
