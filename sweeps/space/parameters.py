"""The kinds of searched parameter: choices, integer ranges, real ranges and grids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hrm.config.errors import UnknownNameError
from hrm.config.run_config import ALIASES
from hrm.config.train_config import TrainConfig
from hrm.models.registry import get_family
from sweeps.errors import SpaceError

SHARED = ("steps", "max_flops", "num_reports", "eval_batch_size")
"""Training fields that every trial has in common: equal compute and equal reports need them so."""


def unknown(where: str, given: str, known: Any) -> SpaceError:
    """The error for a name that is none of `known`, with the nearest one."""
    return SpaceError(*UnknownNameError.among(where, given, known).args)


class Fields:
    """The model fields of a family and the training fields, by their bare names."""

    def __init__(self, family_name: str) -> None:
        config_class = get_family(family_name).config_class
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


KINDS = ("int", "float", "log", "choices")
_OPTIONS = {"int": ("step", "log"), "float": ("num",), "log": ("num",), "choices": ()}
_GRID_DIGITS = 6
"""Significant digits of a log grid's inner values: the same numbers on every machine, and readable ones."""


@dataclass(frozen=True)
class Parameter:
    """One searched parameter.

    Args:
        distribution: what Optuna is told of it. Of a grid of numbers that is the range it spans, so that a sampler
            knows their order; what it proposes is brought back to the grid (`on_grid`).
        grid: its values in order, as numbers, strings, booleans or None; None for a continuous range.
    """

    distribution: BaseDistribution
    grid: Sequence[Any] | None

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers, which have an order and fit an array."""
        return (
            self.grid is None or isinstance(self.grid, range) or all(is_number(value) for value in self.grid)
        )

    def on_grid(self, proposed: Any) -> Any:
        """The grid's value that is nearest to a proposed one, on the distribution's own scale."""
        if (
            self.grid is None
            or isinstance(self.grid, range)
            or isinstance(self.distribution, CategoricalDistribution)
        ):
            return proposed
        assert isinstance(self.distribution, IntDistribution | FloatDistribution)
        scale = math.log if self.distribution.log else float
        return min(self.grid, key=lambda value: abs(scale(value) - scale(proposed)))

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The grid's numbers at 0-based `positions`."""
        assert self.grid is not None and self.is_numeric
        if isinstance(self.grid, range):
            return self.grid.start + self.grid.step * positions
        return np.array(self.grid)[positions]

    def extremes(self) -> list[Any]:
        """Every choice, or the two ends of a range."""
        if isinstance(self.grid, range):
            return [self.grid[0], self.grid[-1]]
        if self.grid is not None:
            return list(self.grid)
        assert isinstance(self.distribution, FloatDistribution)
        return [self.distribution.low, self.distribution.high]

    def spread(self, num: int) -> list[float]:
        """`num` values over a continuous range, both ends included, evenly in its own scale."""
        assert isinstance(self.distribution, FloatDistribution)
        return _grid(self.distribution.low, self.distribution.high, num, self.distribution.log)

    def draw(self, rng: np.random.Generator) -> Any:
        """A value, uniform over the grid, or over a continuous range in its own scale."""
        if self.grid is not None:
            return self.grid[int(rng.integers(len(self.grid)))]
        assert isinstance(self.distribution, FloatDistribution)
        low, high = self.distribution.low, self.distribution.high
        if not self.distribution.log:
            return float(rng.uniform(low, high))
        return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)


def is_number(value: Any) -> bool:
    """A finite int or float; booleans are not numbers here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def parse_parameter(given: Any) -> Parameter:
    """A parameter as a space's YAML writes it.

    Accepts `[a, b, c]`, `{choices: [...]}`, `{int: [low, high], step: 4}`, `{int: [low, high], log: true}`,
    `{float: [low, high]}` and `{log: [low, high]}`, the last two with `num: n` for a grid of n values. Ends
    are included.

    Raises:
        ValueError: it is none of these; the message is the rule that it breaks.
    """
    if isinstance(given, list):
        return _choices(given)
    kinds = [kind for kind in KINDS if isinstance(given, Mapping) and kind in given]
    # `log` is a kind of its own, and an option of `int`.
    kind = "int" if "int" in kinds else kinds[0] if len(kinds) == 1 else None
    if kind is None:
        raise ValueError(f"must be a list of choices, or a mapping with one of: {', '.join(KINDS)}")
    for option in given:
        if option != kind and option not in _OPTIONS[kind]:
            allowed = ", ".join(_OPTIONS[kind]) or "no options"
            raise ValueError(f"{kind!r} takes {allowed}; {option!r} is none of them")
    if kind == "choices":
        return _choices(given["choices"])
    if kind == "int":
        return _int_range(given["int"], given.get("step"), given.get("log", False))
    return _real_range(given[kind], given.get("num"), log=kind == "log")


def _choices(values: Any) -> Parameter:
    if not isinstance(values, list) or not values:
        raise ValueError("choices must be a list of at least one value")
    for value in values:
        if not (value is None or isinstance(value, bool | str) or is_number(value)):
            raise ValueError(f"a choice must be a number, a string, true, false or null; {value!r} is not")
    kinds = [(isinstance(value, bool), value) for value in values]
    if len(set(kinds)) < len(values):
        raise ValueError("choices must differ from each other")
    return Parameter(_told(values), tuple(values))


def _told(values: list[Any]) -> BaseDistribution:
    """What Optuna is told of choices: of three or more whole or of three or more real numbers their range."""
    kinds = {type(value) for value in values}
    if len(values) < 3 or len(kinds) > 1 or not kinds <= {int, float}:
        return CategoricalDistribution(values)
    ranged = IntDistribution if kinds == {int} else FloatDistribution
    return ranged(min(values), max(values), log=_steps_evenly_in_log(sorted(values)))


def _steps_evenly_in_log(values: list[float]) -> bool:
    """Whether ascending numbers are more evenly apart by their logarithms."""
    if values[0] <= 0:
        return False
    plain, log = np.diff(values), np.diff(np.log(values))
    return bool(log.max() / log.min() < plain.max() / plain.min())


def _ends(given: Any, kind: str) -> tuple[Any, Any]:
    if not (isinstance(given, list) and len(given) == 2 and all(is_number(end) for end in given)):
        raise ValueError(f"{kind!r} takes its two ends: [low, high]")
    low, high = given
    if low > high:
        raise ValueError(f"low={low} must not be above high={high}")
    return low, high


def _int_range(ends: Any, step: Any, log: Any) -> Parameter:
    low, high = _ends(ends, "int")
    if not (isinstance(low, int) and isinstance(high, int)):
        raise ValueError("the ends of 'int' must be whole numbers")
    if not isinstance(log, bool):
        raise ValueError("log must be true or false")
    if log and (low < 1 or step is not None):
        raise ValueError("a log range must lie above 0" if low < 1 else "a log range takes no step")
    if step is not None and not (isinstance(step, int) and not isinstance(step, bool) and step >= 1):
        raise ValueError("step must be a whole number of at least 1")
    grid = range(low, high + 1, step or 1)
    return Parameter(IntDistribution(low, grid[-1], log=log, step=step or 1), grid)


def _real_range(ends: Any, num: Any, log: bool) -> Parameter:
    low, high = (float(end) for end in _ends(ends, "log" if log else "float"))
    if log and low <= 0:
        raise ValueError("a log range must lie above 0")
    if low == high:
        return Parameter(CategoricalDistribution([low]), (low,))
    if num is None:
        return Parameter(FloatDistribution(low, high, log=log), None)
    if not (isinstance(num, int) and not isinstance(num, bool) and num >= 2):
        raise ValueError("num must be a whole number of at least 2")
    return Parameter(FloatDistribution(low, high, log=log), tuple(_grid(low, high, num, log)))


def _grid(low: float, high: float, num: int, log: bool) -> list[float]:
    inner = (np.geomspace if log else np.linspace)(low, high, num)[1:-1]
    return [low, *(float(f"{value:.{_GRID_DIGITS}g}") for value in inner), high]
