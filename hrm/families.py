"""The model families: one entry each, all that a trainer or a sweep needs to know of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hrm.errors import UnknownNameError


@dataclass(frozen=True)
class Lattice:
    """A family's rules over arrays of configs, for searches over millions of them.

    The callables take the config's fields, all of them: single values, or arrays of numbers.

    Args:
        width: the field that makes a model strictly larger as it grows, whatever the other fields.
        inner_width: the config's property that holds the inner width of its feed-forward layers.
        weightless: fields that change no parameter count.
        valid: whether the config class takes the fields.
        architectures: the entries of the config's `architecture`, each a value or an array.
    """

    width: str
    inner_width: str
    weightless: frozenset[str]
    valid: Callable[[Mapping[str, Any]], Any]
    architectures: Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Family:
    """A model family.

    Args:
        name: as `family=` spells it.
        config_class: flat frozen dataclass of the architecture, with an `architecture` property that is
            equal for two configs exactly when they build the same model.
        build: config to a `hrm.model.Model`, initialised from torch's global generator; the one callable here
            that imports torch.
        counts: config, batch size and training config to `hrm.counting.Counts`, exact, in microseconds.
        count_arrays: the same over arrays: field name to value or array, to a dict of arrays.
        lattice: validity and identity over arrays.
        count_face: gives the module with which `hrm.count` shows the family: `model_text`, `parameter_rows`,
            `flops_rows`, `presets_text`.
        official_names: a model's `state_dict` under the names of the family's reference implementation,
            where that has the same parts.
        metrics: what an evaluation measures; `blank_accuracy` only where the task has blank cells.
        adaptive: whether the data decide what a step costs, up to `Counts.flops_per_step`. Runs of such a
            family are held to equal compute by `train.max_flops`.
    """

    name: str
    config_class: type
    build: Callable[[Any], Any]
    counts: Callable[..., Any]
    count_arrays: Callable[..., Any]
    lattice: Lattice
    count_face: Callable[[], Any]
    official_names: Callable[[Mapping[str, Any]], dict[str, Any]]
    metrics: tuple[str, ...]
    adaptive: bool = False


def family_names() -> list[str]:
    """Every family."""
    return list(_registry())


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
    from hrm.text import FAMILY as text

    return {entry.name: entry for entry in (puzzle, text)}
