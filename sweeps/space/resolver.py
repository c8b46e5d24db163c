"""From searched values to all fields of the model and its training, for one point or for arrays of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.models.registry import Family
from sweeps.config import SweepConfig
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.constraints import Budget, CostModel
from sweeps.space.expressions import Expression
from sweeps.space.parameters import Fields, is_number, unknown
from sweeps.space.space import Space
from sweeps.space.width_solver import Values, WidthSolver


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
        train: TrainConfig,
        budget: Budget,
    ) -> None:
        self.space = space
        if space.filled and not budget.upper_bounds:
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
        self.base: Values = defaults | space.fixed | rules
        after = space.reading(space.filled) if space.filled else frozenset()
        self._before = {name: value for name, value in space.derived.items() if name not in after}
        self._after = {name: value for name, value in space.derived.items() if name in after}
        self.width_step = int(space.constants["head_size"])
        self._check_readable()
        self._filling = self._make_filling(family, train, budget) if space.filled else None

    def resolve(self, searched: Mapping[str, Any], multiple: int | None = None) -> tuple[Values, Any]:
        """All fields of the points with these searched values, and whether each point has them.

        A point lacks them where a derived value is not what its field takes (of a model's field, only its
        type is looked at), or where even the narrowest filling exceeds the budget; its fields then hold
        harmless numbers.

        Args:
            multiple: give a width that fills the budget this many `head_size` instead.
        """
        values = self.base | {name: self._typed(name, value) for name, value in searched.items()}
        holds = self._derive(self._before, values)
        if self._filling and self.space.filled:
            if multiple is None:
                width, fits = self._filling.fill(values)
            else:
                width, fits = multiple * self.width_step, True
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
        """Sets the derived values; returns where all of them are what their fields take."""
        holds: Any = True
        for name, expression in derived.items():
            value = expression.evaluate({**self.space.constants, **values})
            values[name], is_typed = as_type(value, self.space.fields.types(name))
            holds = holds & is_typed
            if self.space.fields.section(name) == "train":
                holds = holds & self._trainable(name, values[name])
        return holds

    def _trainable(self, name: str, value: Any) -> Any:
        """Where a derived training value keeps its field's rule; the space checked the searched ones."""
        distinct, inverse = np.unique(np.asarray(value), return_inverse=True)
        allowed = np.array([self._allows(name, one.item()) for one in distinct])[inverse]
        return allowed if isinstance(value, np.ndarray) else allowed.item()

    def _allows(self, name: str, value: Any) -> bool:
        try:
            self.space.fields.classes["train"](**{name: value})
        except ConfigError:
            return False
        return True

    def _make_filling(self, family: Family, train: TrainConfig, budget: Budget) -> WidthSolver:
        read: set[str] = set().union(*(expression.names for expression in self._after.values()))
        return WidthSolver(
            family,
            CostModel(family, train),
            budget,
            self.width_step,
            self._defaults,
            self.base,
            after=self._after,
            read=read & set(self.base),
            derive=lambda values: self._derive(self._after, values),
        )

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
