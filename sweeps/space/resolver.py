"""From a point's searched values to a model and its training, and whether these fit the budget."""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.config.validation import construct_unvalidated, keeps_rules
from hrm.models.registry import Family
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.budget import Bound, Budget
from sweeps.space.candidate import CandidateBuilder
from sweeps.space.constraints import FLOPS_PER_STEP, PARAMS, CostModel, Costs, compute_costs
from sweeps.space.expressions import Expression
from sweeps.space.parameters import is_number
from sweeps.space.space import Space

TRAINING_FIELDS = tuple(TrainConfig.__dataclass_fields__)
TRAININGS_KEPT = 4096
"""Training rules that are kept: most points share theirs."""
WIDTHS_KEPT = 100_000
"""Solved widths that are kept, so that building a candidate need not search for its own."""
LARGEST_EXACT = 2.0**53
"""Floats beyond it are not exact."""
INVALID = 2.0
"""What is no valid model counts as so many times too large."""


class Resolved(NamedTuple):
    """A point that is a valid model."""

    model: Any
    """A config of the family."""
    train: TrainConfig
    """With the sweep's own `steps`."""
    own_training: tuple[Any, ...]
    """The values of the training fields in which points may differ."""
    values: dict[str, Any]
    """All fields and constants by name."""


class Resolver:
    """Resolves a space's points: defaults, then fixed values, rules, searched values, derived values.

    Args:
        builder: has the rules of the sweep; one that the space searches or derives gives way to it.
        reported: names of constraints to count beside those that decide.

    Raises:
        SpaceError: the space sets what the task decides, or reads a value that is no number.
        BudgetError: the space fills a budget without upper bound.

    Example:
        >>> from sweeps.config import SweepConfig
        >>> space = {"name": "s", "question": "?", "parameters": {"num_heads": [3, 4]}, "fixed": {"hidden_size": 64}}
        >>> config = SweepConfig(space=space, task={"name": "sudoku6"})
        >>> fields = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
        >>> resolver = Resolver(Space.parse(space), CandidateBuilder(config, fields), Budget(), reported=[])
        >>> resolver.resolve({"num_heads": 4}).model.hidden_size
        64
        >>> resolver.resolve({"num_heads": 3}), resolver.describe_fault({"num_heads": 3})[:26]
        (None, 'no point is a valid model;')
    """

    def __init__(
        self, space: Space, builder: CandidateBuilder, budget: Budget, reported: Iterable[str]
    ) -> None:
        for name in (*space.parameters, *space.derived, *space.fixed):
            if name in builder.task_fields:
                rule = f"the task sets it to {builder.task_fields[name]}"
                raise SpaceError(f"space {space.name}", name, rule, "Leave it out.")
        self.space = space
        self.family = builder.family
        self.limits = list(budget.counted)
        """All that bounds what is counted: the budget, and the FLOPs of a trial."""
        most = builder.flops_budget.max_flops_per_step
        if most is not None:
            self.limits.append(Bound(FLOPS_PER_STEP, "max", most))
        bounded = [limit.constraint.name for limit in self.limits]
        self.counted = list(dict.fromkeys([PARAMS.name, FLOPS_PER_STEP.name, *bounded, *reported]))
        """Names of the constraints that are counted of every point."""

        defaults = {field.name: field.default for field in dataclasses.fields(self.family.config_class)}
        self.base = {**space.constants, **vars(builder.train), **defaults, **space.fixed, **builder.rules}
        after = space.reading(space.filled) if space.filled else frozenset()
        self._before = {name: value for name, value in space.derived.items() if name not in after}
        self._after = {name: value for name, value in space.derived.items() if name in after}
        self._check_readable()
        self._model_fields = tuple(defaults)
        self._get_model_fields = itemgetter(*defaults)
        # Most rules are about one field, and of a field that no point changes one check is enough.
        own = {*space.parameters, *space.derived, space.filled}
        rules = self.family.rules
        rules_of_all = [rule for rule in rules if rule.is_about_one_field and rule.field not in own]
        self._is_base_valid = keeps_rules(self._construct_model(self.base), rules_of_all)
        self._own_rules = [rule for rule in rules if rule not in rules_of_all]
        self._own_training = [
            name for name in (*space.parameters, *space.derived) if space.fields.section(name) == "train"
        ]
        self._build_train_once = lru_cache(TRAININGS_KEPT)(self._build_train)
        self._solver: WidthSolver | None = None
        if space.filled:
            uppers = [bound for bound in budget.counted if bound.side == "max"]
            if not uppers:
                rule = f"{space.name} fills the budget with {space.filled}"
                hint = "Give a number of parameters or a preset's name."
                raise BudgetError("budget.max_params", None, rule, hint)
            before = (*space.parameters, *self._before)
            self._solver = WidthSolver(
                self.family, uppers, self.width_step, self.base, before, self._derive_after
            )

    @property
    def width_step(self) -> int:
        """The step of a width that fills the budget."""
        return int(self.space.constants["head_size"])

    def convert(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return searched values in the types of their fields."""
        fields = self.space.fields
        return {
            # Most have it already: a search converts thousands.
            name: value if type(value) in fields.types(name) else fields.convert(name, value, "parameters")
            for name, value in params.items()
        }

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
        model = self._construct_model(values)
        if train is None or not self._is_base_valid or not keeps_rules(model, self._own_rules):
            return None
        return Resolved(model, train, own_training, values)

    def compute_values(self, params: Mapping[str, Any], multiple: int | None = None) -> dict[str, Any] | None:
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

    def count(self, point: Resolved) -> Costs:
        """Return the costs of a valid point."""
        return compute_costs(CostModel(self.family, point.model, point.train), self.counted)

    def count_valid(
        self, points: Iterable[Mapping[str, Any]], multiple: int | None = None
    ) -> Iterator[Costs]:
        """Yield the costs of those points that are valid; arguments as of `resolve`."""
        for params in points:
            point = self.resolve(self.convert(params), multiple)
            if point is not None:
                yield self.count(point)

    def is_feasible(self, costs: Costs) -> bool:
        """Check the costs of a valid point against the budget and the FLOPs of a trial."""
        return all(limit.holds(costs) for limit in self.limits)

    def compute_violation(self, params: Mapping[str, Any]) -> float:
        """Return how far a point is from being feasible: at most 0 where it is, above where not.

        The largest logarithm of a cost over its upper bound, or of a lower bound over its cost; of what is no
        valid model that of `INVALID`, for it has no costs. Where nothing bounds a valid one, the opposite.
        """
        point = self.resolve(self.convert(params))
        if point is None:
            return math.log(INVALID)
        costs = self.count(point)
        return max((limit.compute_violation(costs) for limit in self.limits), default=-math.log(INVALID))

    def describe_fault(self, params: Mapping[str, Any]) -> str:
        """Return why a point is no valid model, at the narrowest width where one fills the budget."""
        values = self.compute_values(self.convert(params), multiple=1)
        if values is None:
            return f"nowhere are the derived values ({', '.join(self.space.derived)}) what their fields take"
        try:
            self.family.config_class(**{name: values[name] for name in self._model_fields})
            TrainConfig(**{name: values[name] for name in TRAINING_FIELDS})
        except ConfigError as error:
            return f"no point is a valid model; the first fails with: {error}"
        raise AssertionError(f"judged as invalid, but built: {params}")

    def _construct_model(self, values: Mapping[str, Any]) -> Any:
        fields = dict(zip(self._model_fields, self._get_model_fields(values), strict=True))
        return construct_unvalidated(self.family.config_class, fields)

    def _derive_after(self, values: dict[str, Any]) -> bool:
        return self._derive(self._after, values)

    def _derive(self, derived: Mapping[str, Expression], values: dict[str, Any]) -> bool:
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


class WidthSolver:
    """Finds the largest multiple of a step that a model's width may have under the counted upper bounds.

    Args:
        family: names the width.
        uppers: upper bounds of counted constraints, at least one.
        step: the width's.
        base: a value for every field, training included, where the point has none.
        own: names of the values in which points differ before they have a width.
        derive: sets the values that are derived from the width; False where one is not what its field takes.

    Example:
        >>> from hrm.models.registry import get_family
        >>> puzzle = get_family("puzzle")
        >>> base = vars(puzzle.config_class(num_heads=1)) | vars(TrainConfig())
        >>> solver = WidthSolver(puzzle, [Bound(PARAMS, "max", 500_000)], 16, base, ["L_layers"], lambda values: True)
        >>> solver.solve({"L_layers": 1}), solver.solve({"L_layers": 4})
        (80, 48)
    """

    def __init__(
        self,
        family: Family,
        uppers: Sequence[Bound],
        step: int,
        base: Mapping[str, Any],
        own: Iterable[str],
        derive: Callable[[dict[str, Any]], bool],
    ) -> None:
        self._family, self._step, self._base, self._derive = family, step, dict(base), derive
        self._defaults = {field.name: field.default for field in dataclasses.fields(family.config_class)}
        self._max_params = next((bound.value for bound in uppers if bound.constraint is PARAMS), None)
        self._cost_bounds = [bound for bound in uppers if bound.constraint is not PARAMS]
        self._deciding = [name for name in own if self._cost_bounds or name in family.parametric_fields]
        self._solve_once = lru_cache(WIDTHS_KEPT)(self._solve)

    def solve(self, values: Mapping[str, Any]) -> int:
        """Return the width of the point with these values; 0 where even the narrowest breaks a bound."""
        return self._solve_once(*[values[name] for name in self._deciding])

    def _solve(self, *deciding: Any) -> int:
        point = self._base | dict(zip(self._deciding, deciding, strict=True))
        # The model's fields but the width and what does not change its size: whatever is wrong with these is
        # wrong at any width, and a model cannot be counted with them.
        names = self._family.parametric_fields - {self._family.width}
        parametric = self._defaults | {name: point[name] for name in names}
        if not keeps_rules(self._construct_model(parametric), self._family.rules):
            return 0
        if self._max_params is None:
            multiple = self._exceed_costs(point, parametric)
        else:
            multiple = self._fit_params(parametric, self._max_params)
        while multiple and not self._keeps_costs(point, parametric, multiple):
            multiple -= 1
        return multiple * self._step

    def _fit_params(self, parametric: dict[str, Any], most: float) -> int:
        """Return the largest multiple by bisection, which is exact: parameters grow with the width."""

        def count_params(multiple: int) -> int:
            model = self._construct_model(parametric | {self._family.width: multiple * self._step})
            params: int = self._family.count(model).params
            return params

        beyond = 1
        while count_params(beyond) <= most:
            beyond *= 2
        return bisect_right(range(1, beyond), most, key=count_params)

    def _exceed_costs(self, point: dict[str, Any], parametric: dict[str, Any]) -> int:
        """Return a multiple beyond which nothing fits: too costly, and more costly than at half of it.

        Cost need not grow with the width everywhere: an embedding of fixed size takes fewer positions in a
        wider model. Where it is too high and has grown over a doubling, it goes on growing.
        """
        multiple, before = 1, self._compute_costs(point, parametric, 1)
        while True:
            multiple *= 2
            costs = self._compute_costs(point, parametric, multiple)
            for bound in self._cost_bounds:
                has_grown = costs[bound.constraint.name] > before[bound.constraint.name]
                if has_grown and not bound.holds(before) and not bound.holds(costs):
                    return multiple
            before = costs

    def _keeps_costs(self, point: dict[str, Any], parametric: dict[str, Any], multiple: int) -> bool:
        if not self._cost_bounds:
            return True
        costs = self._compute_costs(point, parametric, multiple)
        return all(bound.holds(costs) for bound in self._cost_bounds)

    def _compute_costs(self, point: dict[str, Any], parametric: dict[str, Any], multiple: int) -> Costs:
        """Return the bounded costs at a multiple of the step.

        A width that makes no valid model stands for one with the same weights and default cycles and heads: it
        is not stepped over, and the point is found invalid later.
        """
        width = {self._family.width: multiple * self._step}
        values = point | width
        is_derived = self._derive(values)
        model = self._construct_model({name: values[name] for name in self._defaults})
        if not (is_derived and keeps_rules(model, self._family.rules)):
            model, values = self._construct_model(parametric | width), self._base
        train = construct_unvalidated(TrainConfig, {name: values[name] for name in TRAINING_FIELDS})
        names = [bound.constraint.name for bound in self._cost_bounds]
        return compute_costs(CostModel(self._family, model, train), names)

    def _construct_model(self, fields: Mapping[str, Any]) -> Any:
        return construct_unvalidated(self._family.config_class, fields)
