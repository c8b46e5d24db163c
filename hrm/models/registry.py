"""The model families: one entry each, all that a trainer or a sweep needs to know of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from hrm.config.errors import UnknownNameError
from hrm.config.validation import Rule


@dataclass(frozen=True)
class Family:
    """A model family: the package `hrm.models.NAME`, with a `model.py` and a `count_table.py`.

    Args:
        name: as `family=` spells it.
        config_class: flat frozen dataclass of the architecture, with the property `architecture`, equal for
            two configs exactly when they build the same model.
        model_class: name of the `hrm.models.base.Model` in the family's `model.py`.
        count: config, batch size and training config to `hrm.models.counting.Counts`, exact, in microseconds.
        rules: what a valid config keeps to; its constructor checks the same.
        width: the field that makes a model strictly larger as it grows, whatever the other fields.
        inner_width: the config's property that holds the inner width of its feed-forward layers.
        non_parametric_fields: fields that change no parameter count.
        cost_only_fields: fields that change what training costs, and not which model is built.
        metrics: what an evaluation measures; `blank_accuracy` only where the task has blank cells.
        adaptive: whether the data decide what a step costs, up to `Counts.flops_per_step`. Runs of such a
            family are held to equal compute by `train.max_flops`.
    """

    name: str
    config_class: type
    model_class: str
    count: Callable[..., Any]
    rules: Sequence[Rule]
    width: str
    inner_width: str
    non_parametric_fields: frozenset[str]
    metrics: tuple[str, ...]
    cost_only_fields: tuple[str, ...] = ()
    adaptive: bool = False

    def __reduce__(self) -> tuple[Callable[[str], Family], tuple[str]]:
        """Pickled by name: its rules are functions, which pickle does not take."""
        return get_family, (self.name,)

    def build(self, config: Any) -> Any:
        """The model of a config, initialised from torch's global generator. Only this imports torch."""
        return getattr(import_module(f"hrm.models.{self.name}.model"), self.model_class)(config)

    def count_table(self) -> ModuleType:
        """The module with which `hrm.count` shows the family: `model_text`, `parameter_rows`, `flops_rows`,
        `presets_text`."""
        return import_module(f"hrm.models.{self.name}.count_table")


def list_families() -> list[str]:
    """Every family."""
    return list(_registry())


def get_family(name: str) -> Family:
    """The family of that name.

    Raises:
        UnknownNameError: there is none.
    """
    registry = _registry()
    if name not in registry:
        raise UnknownNameError.among("family", name, registry)
    return registry[name]


def _registry() -> dict[str, Family]:
    from hrm.models.puzzle import FAMILY as puzzle
    from hrm.models.text import FAMILY as text

    return {entry.name: entry for entry in (puzzle, text)}
