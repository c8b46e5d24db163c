"""From a point's searched values to all fields of the model and its training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from hrm.config.errors import ConfigError
from hrm.config.schema import convert_fields
from hrm.config.train_config import TrainConfig
from hrm.config.validation import construct_unvalidated, keeps_rules
from hrm.models.registry import Family, get_family
from sweeps.config import SweepConfig
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.budget import Budget
from sweeps.space.expressions import Expression
from sweeps.space.parameters import is_number
from sweeps.space.space import Space
from sweeps.space.width_solver import Values, WidthSolver

TRAINING_FIELDS = tuple(TrainConfig.__dataclass_fields__)
TRAININGS_KEPT = 4096
"""Training rules that are kept: most points share theirs."""
LARGEST_EXACT = 2.0**53
"""Floats beyond it are not exact."""


def read_model_rules(config: SweepConfig, model_fields: Mapping[str, int]) -> Values:
    """Return the model fields that hold in every arm: `config.model`, then what the task decides.

    Raises:
        UserError: a rule that no model has, of the wrong type, or that the task decides.
    """
    for name, given in config.model.items():
        if name in model_fields:
            rule = f"the task sets it to {model_fields[name]}"
            raise ConfigError(f"model.{name}", given, rule, "Leave it out.")
    return convert_fields(get_family(config.family).config_class, config.model, "model") | dict(model_fields)


class Resolved(NamedTuple):
    """A point that is a valid model."""

    model: Any
    """A config of the family."""
    train: TrainConfig
    """With the sweep's own `steps`."""
    own_training: tuple[Any, ...]
    """The values of the training fields in which points may differ."""
    values: Values
    """All fields and constants by name."""


class Resolver:
    """Resolves a space's points: defaults, then fixed values, rules, searched values, derived values.

    Args:
        rules: from `read_model_rules`; a rule that the space searches or derives gives way to it.
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
        uppers = [bound for bound in budget.counted if bound.side == "max"]
        if space.filled and not uppers:
            rule = f"{space.name} fills the budget with {space.filled}"
            hint = "Give a number of parameters or a preset's name."
            raise BudgetError("budget.max_params", None, rule, hint)
        for name in (*space.parameters, *space.derived, *space.fixed):
            if name in model_fields:
                rule = f"the task sets it to {model_fields[name]}"
                raise SpaceError(f"space {space.name}", name, rule, "Leave it out.")
        self._family = family
        defaults = {field.name: field.default for field in dataclasses.fields(family.config_class)}
        self.base: Values = {**space.constants, **vars(train), **defaults, **space.fixed, **rules}
        after = space.reading(space.filled) if space.filled else frozenset()
        self._before = {name: value for name, value in space.derived.items() if name not in after}
        self._after = {name: value for name, value in space.derived.items() if name in after}
        self._check_readable()
        self._get_model_fields = itemgetter(*defaults)
        self._model_fields = tuple(defaults)
        # Most rules are about one field, and of a field that no point changes one check is enough.
        own = {*space.parameters, *space.derived, space.filled}
        rules_of_all = [rule for rule in family.rules if rule.is_about_one_field and rule.field not in own]
        base_model = construct_unvalidated(family.config_class, {name: self.base[name] for name in defaults})
        self._is_base_valid = keeps_rules(base_model, rules_of_all)
        self._own_rules = [rule for rule in family.rules if rule not in rules_of_all]
        self._own_training = [
            name for name in (*space.parameters, *space.derived) if space.fields.section(name) == "train"
        ]
        self._build_train_once = lru_cache(TRAININGS_KEPT)(self._build_train)
        self.width_step = int(space.constants["head_size"])
        self._solver: WidthSolver | None = None
        if space.filled:
            read = {name for one in self._after.values() for name in one.names if name in self.base}
            self._solver = WidthSolver(
                family,
                train,
                budget,
                self.width_step,
                self.base,
                defaults,
                self._after,
                read,
                self._derive_after,
            )

    def convert(self, params: Mapping[str, Any]) -> Values:
        """Return searched values in the types of their fields."""
        return {name: self.space.fields.convert(name, value, "parameters") for name, value in params.items()}

    def resolve(self, params: Mapping[str, Any], multiple: int | None = None) -> Resolved | None:
        """Return the model and the training of a point; None where it is no valid model.

        Args:
            params: the searched values, in the types of their fields (see `convert`).
            multiple: give a width that fills the budget this many `head_size` instead.
        """
        values = self.compute_values(params, multiple)
        if values is None:
            return None
        own_training = tuple([values[name] for name in self._own_training])
        train = self._build_train_once(*own_training)
        fields = dict(zip(self._model_fields, self._get_model_fields(values), strict=True))
        model = construct_unvalidated(self._family.config_class, fields)
        if train is None or not self._is_base_valid or not keeps_rules(model, self._own_rules):
            return None
        return Resolved(model, train, own_training, values)

    def compute_values(self, params: Mapping[str, Any], multiple: int | None = None) -> Values | None:
        """Return the values of all fields; None where one is not what its field takes, or no width fits."""
        values = {**self.base, **params}
        if not self._derive(self._before, values):
            return None
        if self._solver and self.space.filled:
            width = self._solver.solve(values) if multiple is None else multiple * self.width_step
            values[self.space.filled] = width
            if not width or not self._derive_after(values):
                return None
        return values

    def describe_fault(self, params: Mapping[str, Any]) -> str:
        """Return why a point is no valid model, at the narrowest width where one fills the budget."""
        values = self.compute_values(self.convert(params), multiple=1)
        if values is None:
            return f"nowhere are the derived values ({', '.join(self.space.derived)}) what their fields take"
        try:
            self._family.config_class(**{name: values[name] for name in self._model_fields})
            TrainConfig(**{name: values[name] for name in TRAINING_FIELDS})
        except ConfigError as error:
            return f"no point is a valid model; the first fails with: {error}"
        raise AssertionError(f"judged as invalid, but built: {params}")

    def _derive_after(self, values: Values) -> bool:
        return self._derive(self._after, values)

    def _derive(self, derived: Mapping[str, Expression], values: Values) -> bool:
        """Set the derived values; False where one of them is not what its field takes."""
        for name, expression in derived.items():
            value = convert_computed(expression.evaluate(values), self.space.fields.types(name))
            if value is None:
                return False
            values[name] = value
        return True

    def _build_train(self, *own: Any) -> TrainConfig | None:
        """Return the training rules with these values of `_own_training`; None where they break a rule."""
        values = self.base | dict(zip(self._own_training, own, strict=True))
        try:
            return TrainConfig(**{name: values[name] for name in TRAINING_FIELDS})
        except ConfigError:
            return None

    def _check_readable(self) -> None:
        for name, expression in self.space.derived.items():
            for read in sorted(expression.names - {*self.space.constants, *self.space.derived}):
                parameter = self.space.parameters.get(read)
                seen = parameter.extremes() if parameter else [self.base[read]]
                for value in seen if read != self.space.filled else []:
                    if not (is_number(value) or isinstance(value, bool)):
                        rule = f"reads {read}, which is {value!r} here, not a number"
                        raise SpaceError(f"space {self.space.name}: derived.{name}", expression.text, rule)


def convert_computed(value: float, types: tuple[type, ...]) -> int | float | bool | None:
    """Return a computed number as a field's type; None where it is not of that type.

    Example:
        >>> convert_computed(6.0, (int,)), convert_computed(6.5, (int,)), convert_computed(1, (bool,))
        (6, None, True)
    """
    if not abs(value) < LARGEST_EXACT:
        return None
    if float in types:
        return float(value)
    if value != value // 1 or (bool in types and value not in (0, 1)):
        return None
    return bool(value) if bool in types else int(value)
