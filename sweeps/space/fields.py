"""The fields that a space may speak of, those of the model and of its training, and their types."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import Any, get_args, get_type_hints

from hrm.errors import UnknownNameError
from hrm.families import family
from hrm.run_config import ALIASES
from hrm.train_config import TrainConfig
from sweeps.errors import SpaceError

SHARED = ("steps", "max_flops", "num_reports", "eval_batch_size")
"""Training fields that every trial has in common: equal compute and equal reports need them so."""


def unknown(where: str, given: str, known: Any) -> SpaceError:
    """The error for a name that is none of `known`, with the nearest one."""
    return SpaceError(*UnknownNameError.among(where, given, known).args)


class Fields:
    """The model fields of a family and the training fields, by their bare names."""

    def __init__(self, family_name: str) -> None:
        config_class = family(family_name).config_class
        self.classes: dict[str, type] = {"model": config_class, "train": TrainConfig}
        self._sections: dict[str, str] = {}
        self._types: dict[str, tuple[type, ...]] = {}
        for section, cls in self.classes.items():
            for name, hint in get_type_hints(cls).items():
                self._sections[name] = section
                self._types[name] = get_args(hint) or (hint,)

    def __contains__(self, name: str) -> bool:
        return name in self._sections

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def section(self, name: str) -> str:
        """`model` or `train`."""
        return self._sections[name]

    def bare(self, name: Any, where: str) -> str:
        """The field that `name` means: `hidden_size`, `model.hidden_size` and `arch.hidden_size` are one.

        Raises:
            SpaceError: there is no such field, or it is one that all trials share.
        """
        section, dot, field = str(name).rpartition(".")
        known = [known for known in self if known not in SHARED]
        if dot:
            section = ALIASES.get(section, section)
            known = [known for known in known if self.section(known) == section]
        if field in SHARED and field not in known:
            rule = "is the same for every trial of a sweep, so that they can be compared"
            raise SpaceError(f"{where}.{name}", field, rule, f"Set it under run: train: {field}.")
        if field not in known:
            raise unknown(where, str(name), known or list(self))
        return field

    def types(self, name: str) -> tuple[type, ...]:
        """The types that the field takes: `(int, NoneType)` for an optional integer."""
        return self._types[name]

    def is_derivable(self, name: str) -> bool:
        """Whether arithmetic can give the field's value."""
        return any(kind in (int, float, bool) for kind in self.types(name))

    def typed(self, name: str, value: Any) -> Any:
        """`value` as the field's type, where nothing is lost (4 as 4.0, 8.0 as 8).

        Raises:
            ValueError: it has another type; the message is the rule.
        """
        types = self.types(name)
        if type(value) in types or (value is None and NoneType in types):
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and float in types:
            return float(value)
        if number and int in types and value == value // 1:
            return int(value)
        words = {
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            str: "text",
            NoneType: "null",
        }
        raise ValueError(f"must be {' or '.join(words[kind] for kind in types)}")
