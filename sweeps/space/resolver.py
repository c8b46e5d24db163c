"""From searched values to all fields of the model and its training, for one point or for arrays of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hrm.errors import ConfigError
from hrm.families import Family
from sweeps.config import SweepConfig
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.budget import Budget
from sweeps.space.expressions import Expression
from sweeps.space.fields import Fields, unknown
from sweeps.space.parameters import is_number
from sweeps.space.rows import row_keys
from sweeps.space.space import Space

MOST_WIDTHS_KEPT = 100_000
"""Filled widths of an enumeration that are kept, so that building a candidate need not search for its own."""

Values = dict[str, Any]
"""Field name to a value or an array of numbers."""


def model_rules(config: SweepConfig, fields: Fields, model_fields: Mapping[str, int]) -> Values:
    """The model fields that hold in every arm: `config.model`, then what the task decides.

    Raises:
        UserError: a rule that no model has, of the wrong type, or that the task decides.
    """
    rules: Values = {}
    known = [name for name in fields if fields.section(name) == "model"]
    for name, given in config.model.items():
        if name not in known:
            raise unknown("model", str(name), known)
        if name in model_fields:
            raise ConfigError(
                f"model.{name}", given, f"the task sets it to {model_fields[name]}", "Leave it out."
            )
        try:
            rules[name] = fields.typed(name, given)
        except ValueError as error:
            raise ConfigError(f"model.{name}", given, str(error)) from None
    return rules | dict(model_fields)


class Resolver:
    """The fields of a space's points: defaults, then fixed values, rules, searched values, derived values.

    Args:
        rules: from `model_rules`; a rule that the space searches or derives gives way to it.
        budget: bounds the filled width.

    Raises:
        SpaceError: the space sets what the task decides, or reads a value that is no number.
        BudgetError: the space fills a budget without upper bound.
    """

    def __init__(
        self,
        space: Space,
        family: Family,
        rules: Values,
        model_fields: Mapping[str, int],
        train: Any,
        budget: Budget,
    ) -> None:
        self.space = space
        self._family = family
        self._max_params = budget.max_params
        if space.filled and budget.max_params is None:
            raise BudgetError("budget.max_params", None, f"{space.name} fills the budget with {space.filled}",
                              "Give a number of parameters or a preset's name.")  # fmt: skip
        for name in (*space.parameters, *space.derived, *space.fixed):
            if name in model_fields:
                raise SpaceError(f"space {space.name}", name, f"the task sets it to {model_fields[name]}",
                                 "Leave it out.")  # fmt: skip
        defaults: Values = {
            field.name: getattr(train, field.name) if section == "train" else field.default
            for section, cls in space.fields.classes.items()
            for field in dataclasses.fields(cls)
        }
        self._model_names = tuple(name for name in space.fields if space.fields.section(name) == "model")
        self._defaults = {name: defaults[name] for name in self._model_names}
        sizeless = {family.lattice.width, *family.lattice.weightless}
        self._bearing = [name for name in self._model_names if name not in sizeless]
        self.base: Values = defaults | space.fixed | rules
        after = space.reading(space.filled) if space.filled else frozenset()
        self._before = {name: value for name, value in space.derived.items() if name not in after}
        self._after = {name: value for name, value in space.derived.items() if name in after}
        self.width_step = int(space.constants["head_size"])
        self._check_readable()
        self._widths: dict[tuple[Any, ...], int] = {}

    def resolve(self, searched: Mapping[str, Any], multiple: int | None = None) -> tuple[Values, Any]:
        """All fields of the points with these searched values, and whether each point has them.

        A point lacks them where a derived value is not a number of its field's type, or where even the
        narrowest filling exceeds the budget; its fields then hold harmless numbers.

        Args:
            multiple: give a width that fills the budget this many `head_size` instead.
        """
        values = self.base | {name: self._typed(name, value) for name, value in searched.items()}
        holds = self._derive(self._before, values)
        if self.space.filled:
            width, fits = self._fill(values) if multiple is None else (multiple * self.width_step, True)
            values[self.space.filled] = width
            holds = holds & fits & self._derive(self._after, values)
        return values, holds

    def model_of(self, values: Values) -> Values:
        """The model's fields among `values`."""
        return {name: values[name] for name in self._model_names}

    def _typed(self, name: str, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return self.space.fields.typed(name, value)
        return value.astype(np.float64 if float in self.space.fields.types(name) else np.int64)

    def _derive(self, derived: Mapping[str, Expression], values: Values) -> Any:
        """Sets the derived values; returns where all of them are numbers of their fields' types."""
        holds: Any = True
        for name, expression in derived.items():
            value = expression.evaluate({**self.space.constants, **values})
            values[name], is_typed = as_type(value, self.space.fields.types(name))
            holds = holds & is_typed
        return holds

    def _fill(self, values: Values) -> tuple[Any, Any]:
        """The largest multiple of `head_size` within the budget, and whether there is one."""
        bearing = {name: values[name] for name in self._bearing}
        # Whatever can be wrong with these fields is wrong at any width; a model cannot be counted with them.
        valid = self._family.lattice.valid(self._defaults | bearing)
        columns = {name: value for name, value in bearing.items() if isinstance(value, np.ndarray)}
        if not columns:
            key = tuple(bearing.values())
            if key not in self._widths:
                self._widths[key] = int(self._widest(bearing, 1)[0]) if valid else 0
            one_width = self._widths[key]
            return max(one_width, 1), one_width > 0
        if not np.any(valid):
            return 1, False
        some = int(np.argmax(np.broadcast_to(valid, len(next(iter(columns.values()))))))
        sound = {name: np.where(valid, column, column[some]) for name, column in columns.items()}
        _, first, inverse = np.unique(row_keys(sound), return_index=True, return_inverse=True)
        distinct = bearing | {name: column[first] for name, column in sound.items()}
        widths = self._widest(distinct, len(first))
        if len(first) <= MOST_WIDTHS_KEPT:
            rows = zip(
                *(np.broadcast_to(value, len(first)).tolist() for value in distinct.values()), strict=True
            )
            self._widths.update(zip(rows, widths.tolist(), strict=True))
        width = widths[inverse]
        return np.maximum(width, 1), (width > 0) & valid

    def _widest(self, fields: Values, size: int) -> np.ndarray:
        """For each of `size` models the largest width within the budget, 0 where there is none.

        Exact: parameters grow with the width (`Lattice.width`), so bisection finds the last that fits.
        """
        step = self.width_step

        def fits(multiple: np.ndarray) -> np.ndarray:
            counts = self._family.count_arrays(fields | {self._family.lattice.width: multiple * step})
            inside: np.ndarray = counts["params"] <= self._max_params
            return inside

        low, high = np.zeros(size, dtype=np.int64), np.ones(size, dtype=np.int64)
        growing = fits(high)
        while growing.any():
            low, high = np.where(growing, high, low), np.where(growing, high * 2, high)
            growing = growing & fits(high)
        while (high - low > 1).any():
            middle = np.maximum((low + high) // 2, 1)
            inside = fits(middle)
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return low * step

    def _check_readable(self) -> None:
        for name, expression in self.space.derived.items():
            for read in sorted(expression.names - set(self.space.constants)):
                parameter = self.space.parameters.get(read)
                seen = parameter.extremes() if parameter else [self.base[read]]
                is_computed = read in self.space.derived or read == self.space.filled
                for value in [] if is_computed else seen:
                    if not (is_number(value) or isinstance(value, bool)):
                        raise SpaceError(f"space {self.space.name}: derived.{name}", expression.text,
                                         f"reads {read}, which is {value!r} here, not a number")  # fmt: skip


def as_type(value: Any, types: tuple[type, ...]) -> tuple[Any, Any]:
    """A computed number or array as a field's type, and whether it is of that type; 1 where it is not."""
    finite = np.isfinite(value) & (np.abs(value) < _LARGEST_EXACT)
    if float in types:
        typed = np.where(finite, value, 1.0).astype(np.float64)
    else:
        finite = finite & (np.floor(value) == value)
        if bool in types:
            finite = finite & ((value == 0) | (value == 1))
        typed = np.where(finite, value, 1).astype(np.bool_ if bool in types else np.int64)
    return (typed, finite) if typed.ndim else (typed.item(), bool(finite))


_LARGEST_EXACT = 2.0**53
