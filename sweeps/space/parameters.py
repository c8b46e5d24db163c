"""The kinds of searched parameter: choices, integer ranges, real ranges and grids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hrm.config.errors import UnknownNameError
from hrm.config.run_config import ALIASES
from hrm.config.schema import convert_fields, field_kinds
from hrm.config.train_config import TrainConfig
from hrm.models.registry import get_family
from sweeps.errors import SpaceError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SHARED = ("steps", "max_flops", "num_reports", "eval_batch_size")
"""Training fields that every trial has in common: equal compute and equal reports need them so."""


class Fields:
    """The model fields of a family and the training fields, by their bare names.

    Example:
        >>> fields = Fields("puzzle")
        >>> fields.section("lr"), fields.find("arch.H_layers", "parameters")
        ('train', 'H_layers')
        >>> fields.convert("lr", 1, "fixed")
        1.0
    """

    def __init__(self, family_name: str) -> None:
        classes = {"model": get_family(family_name).config_class, "train": TrainConfig}
        self._owners = {name: (section, cls) for section, cls in classes.items() for name in field_kinds(cls)}

    def __contains__(self, name: str) -> bool:
        return name in self._owners

    def __iter__(self) -> Iterator[str]:
        return iter(self._owners)

    def section(self, name: str) -> str:
        """Return `model` or `train`."""
        return self._owners[name][0]

    def find(self, name: Any, where: str) -> str:
        """Return the field that `name` means: `hidden_size`, `model.hidden_size` and `arch.hidden_size` are one.

        Raises:
            UnknownNameError: there is no such field.
            SpaceError: it is one that all trials share.
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
            raise UnknownNameError.among(where, str(name), known or list(self))
        return field

    def types(self, name: str) -> tuple[type, ...]:
        """Return the types that the field takes: `(int, NoneType)` for an optional integer."""
        return field_kinds(self._owners[name][1])[name]

    def convert(self, name: str, value: Any, where: str) -> Any:
        """Return `value` as the field's type, where nothing is lost (4 as 4.0, 8.0 as 8).

        Raises:
            ConfigError: it has another type.
        """
        return convert_fields(self._owners[name][1], {name: value}, where)[name]


_OPTIONS = {"int": ("step", "log"), "float": ("num",), "log": ("num",), "choices": ()}
"""The kinds of parameter, and the options of each."""
_GRID_DIGITS = 6
"""Significant digits of a log grid's inner values: the same numbers on every machine, and readable ones."""


@dataclass(frozen=True)
class Parameter:
    """One searched parameter.

    Of a grid of three or more numbers, Optuna is shown the range that it spans, so that a sampler knows their order;
    what it proposes is brought back to the grid (`to_grid`).

    Args:
        grid: its values in order, as numbers, strings, booleans or None; None for a continuous range.
        low, high: the range that Optuna is shown; None for choices without an order.
        log: whether the range is even in logarithms.

    Example:
        >>> rate = parse_parameter({"log": [1e-3, 1e-2], "num": 3})
        >>> rate.grid, rate.to_grid(0.004)
        ((0.001, 0.00316228, 0.01), 0.00316228)
    """

    grid: Sequence[Any] | None
    low: float | None = None
    high: float | None = None
    log: bool = False

    @cached_property
    def distribution(self) -> BaseDistribution:
        """The parameter as Optuna has it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.low is None or self.high is None:
            return CategoricalDistribution(self.grid or ())
        if isinstance(self.low, int) and isinstance(self.high, int):
            step = self.grid.step if isinstance(self.grid, range) else 1
            return IntDistribution(self.low, self.high, log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log)

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers, which have an order."""
        return self.grid is None or isinstance(self.grid, range) or all(map(is_number, self.grid))

    def to_grid(self, proposed: Any) -> Any:
        """Return the grid's value that is nearest to a proposed one, on the parameter's own scale."""
        if self.grid is None or self.low is None or isinstance(self.grid, range):
            return proposed
        scale = math.log if self.log else float
        return min(self.grid, key=lambda value: abs(scale(value) - scale(proposed)))

    def extremes(self) -> list[Any]:
        """Return every choice, or the two ends of a range."""
        if isinstance(self.grid, range) or self.grid is None:
            return [self.low, self.high]
        return list(self.grid)

    def spread(self, num: int) -> list[float]:
        """Return `num` values over a continuous range, both ends included, evenly on its own scale."""
        assert self.low is not None and self.high is not None
        return _make_grid(self.low, self.high, num, self.log)

    def draw(self, rng: np.random.Generator) -> Any:
        """Return a value, uniform over the grid, or over a continuous range on its own scale."""
        if self.grid is not None:
            return self.grid[int(rng.integers(len(self.grid)))]
        assert self.low is not None and self.high is not None
        if not self.log:
            return float(rng.uniform(self.low, self.high))
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)


def is_number(value: Any) -> bool:
    """Check whether a value is a finite int or float; booleans are not numbers here.

    Example:
        >>> is_number(1e-3), is_number(True), is_number(float("nan"))
        (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def parse_parameter(given: Any) -> Parameter:
    """Return the parameter that a space's YAML writes.

    Accepts `[a, b, c]`, `{choices: [...]}`, `{int: [low, high], step: 4}`, `{int: [low, high], log: true}`,
    `{float: [low, high]}` and `{log: [low, high]}`, the last two with `num: n` for a grid of n values. Ends
    are included.

    Raises:
        ValueError: it is none of these; the message is the rule that it breaks.

    Example:
        >>> parse_parameter({"int": [8, 32], "step": 8}).extremes()
        [8, 32]
    """
    if isinstance(given, list):
        return _choices(given)
    kinds = [kind for kind in _OPTIONS if isinstance(given, Mapping) and kind in given]
    # `log` is a kind of its own, and an option of `int`.
    kind = "int" if "int" in kinds else kinds[0] if len(kinds) == 1 else None
    if kind is None:
        raise ValueError(f"must be a list of choices, or a mapping with one of: {', '.join(_OPTIONS)}")
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
    types = {type(value) for value in values}
    if len(values) < 3 or len(types) > 1 or not types <= {int, float}:
        return Parameter(tuple(values))
    return Parameter(tuple(values), min(values), max(values), _steps_evenly_in_log(sorted(values)))


def _steps_evenly_in_log(values: list[float]) -> bool:
    """Check whether ascending numbers are more evenly apart by their logarithms."""
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
    return Parameter(grid, low, grid[-1], log)


def _real_range(ends: Any, num: Any, log: bool) -> Parameter:
    low, high = (float(end) for end in _ends(ends, "log" if log else "float"))
    if log and low <= 0:
        raise ValueError("a log range must lie above 0")
    if low == high:
        return Parameter((low,))
    if num is None:
        return Parameter(None, low, high, log)
    if not (isinstance(num, int) and not isinstance(num, bool) and num >= 2):
        raise ValueError("num must be a whole number of at least 2")
    return Parameter(tuple(_make_grid(low, high, num, log)), low, high, log)


def _make_grid(low: float, high: float, num: int, log: bool) -> list[float]:
    inner = (np.geomspace if log else np.linspace)(low, high, num)[1:-1]
    return [low, *(float(f"{value:.{_GRID_DIGITS}g}") for value in inner), high]
