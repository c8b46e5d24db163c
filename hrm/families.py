"""The model families: one entry each, all that a trainer or a sweep needs to know of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hrm.errors import UnknownNameError


@dataclass(frozen=True)
class Family:
    """A model family.

    Args:
        name: as `family=` spells it.
        config_class: flat frozen dataclass of the architecture, with an `architecture` property that is
            equal for two configs exactly when they build the same model.
        build: config to a `hrm.model.Model`, initialised from torch's global generator.
        counts: config, batch size and training config to `hrm.counting.Counts`, exact, in microseconds.
        count_arrays: the same over arrays: field name to value or array, to a dict of arrays.
    """

    name: str
    config_class: type
    build: Callable[[Any], Any]
    counts: Callable[..., Any]
    count_arrays: Callable[..., Any]


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        UnknownNameError: there is none.
    """
    registry = _registry()
    if name not in registry:
        raise UnknownNameError.among("family", name, registry)
    return registry[name]


def _registry() -> dict[str, Family]:
    from hrm.puzzle import FAMILY as puzzle

    return {entry.name: entry for entry in (puzzle,)}
