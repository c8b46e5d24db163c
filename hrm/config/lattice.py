"""The rules of a config class over many configs at once, for searches over millions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hrm.config.validation import Rule


def unchecked(config_class: type, fields: Mapping[str, Any]) -> Any:
    """A config with these values in its fields, whatever they are: of arrays, its properties are arrays."""
    config: Any = object.__new__(config_class)
    config.__dict__.update(fields)
    return config


@dataclass(frozen=True)
class Lattice:
    """A family's rules over arrays of configs.

    Args:
        config_class: the family's.
        rules: what a valid config keeps to; the constructor checks the same.
        width: the field that makes a model strictly larger as it grows, whatever the other fields.
        inner_width: the config's property that holds the inner width of its feed-forward layers.
        weightless: fields that change no parameter count.
    """

    config_class: type
    rules: Sequence[Rule]
    width: str
    inner_width: str
    weightless: frozenset[str]

    def valid(self, fields: Mapping[str, Any]) -> Any:
        """Whether the config class takes the fields: a bool, or an array of them.

        Args:
            fields: a value or an array for each field; arrays hold numbers (None, strings and booleans only
                as single values) and broadcast against each other.
        """
        many, holds = unchecked(self.config_class, fields), np.bool_(True)
        with np.errstate(divide="ignore"):  # by what an earlier rule has found invalid
            for rule in self.rules:
                holds = holds & rule.holds(many)
                if not holds.any():
                    break
        return holds

    def architectures(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The config's `architecture`, of valid fields as in `valid`: a value or an array for each entry."""
        architecture: dict[str, Any] = unchecked(self.config_class, fields).architecture
        return architecture
