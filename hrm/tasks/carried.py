"""Data sets that travel with their data, to machines that do not have the files."""

from __future__ import annotations

from typing import Any

from hrm.tasks.base import Dataset


class Carried:
    """A data set that takes its arrays along when it is pickled. Alone, it is a reference to its files.

    Args:
        dataset: its arrays may be memory maps.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (type(self.dataset), vars(self.dataset))


def _arrived(kind: type[Dataset], state: dict[str, Any]) -> Carried:
    dataset = object.__new__(kind)
    vars(dataset).update(state)
    return Carried(dataset)
