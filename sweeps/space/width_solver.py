"""The widest model that keeps every upper bound of a budget."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from hrm.config.train_config import TrainConfig
from hrm.config.validation import construct_unvalidated, keeps_rules
from hrm.models.registry import Family
from sweeps.space.budget import Bound, Budget
from sweeps.space.constraints import COUNTED_TRAINING, PARAMS, CostModel, Costs, compute_costs

WIDTHS_KEPT = 100_000
"""Solved widths that are kept, so that building a candidate need not search for its own."""

Values = dict[str, Any]
"""Field names to values."""


class WidthSolver:
    """Finds the largest multiple of a step that a model's width may have under the counted upper bounds.

    Args:
        family: names the width.
        train: the training rules.
        budget: its counted upper bounds, at least one.
        step: the width's.
        base: a value for every field, training included, where the point has none.
        defaults: of the model's fields.
        after: names that are derived from the width.
        read: names that these read, beside the width.
        derive: sets the values of `after`; False where one of them is not what its field takes.
    """

    def __init__(
        self,
        family: Family,
        train: TrainConfig,
        budget: Budget,
        step: int,
        base: Mapping[str, Any],
        defaults: Mapping[str, Any],
        after: Collection[str],
        read: Collection[str],
        derive: Callable[[Values], bool],
    ) -> None:
        self._family, self._train, self._step, self._derive = family, train, step, derive
        self._base, self._defaults = dict(base), dict(defaults)
        uppers = [bound for bound in budget.counted if bound.side == "max"]
        self._max_params = next((bound.value for bound in uppers if bound.constraint is PARAMS), None)
        self._cost_bounds = [bound for bound in uppers if bound.constraint is not PARAMS]
        self._parametric = [n for n in defaults if n not in {family.width, *family.non_parametric_fields}]
        read_by_costs = [*defaults, *COUNTED_TRAINING, *sorted(read)] if self._cost_bounds else []
        deciding = dict.fromkeys([*self._parametric, *read_by_costs])
        self._deciding = [name for name in deciding if name != family.width and name not in after]
        self._solve_once = lru_cache(WIDTHS_KEPT)(self._solve)

    def solve(self, values: Mapping[str, Any]) -> int:
        """Return the width of the point with these values; 0 where even the narrowest breaks a bound."""
        return self._solve_once(*[values[name] for name in self._deciding])

    def _solve(self, *deciding: Any) -> int:
        point = dict(zip(self._deciding, deciding, strict=True))
        # The model's fields but the width and what does not change its size: whatever is wrong with these is
        # wrong at any width, and a model cannot be counted with them.
        parametric = self._defaults | {name: point[name] for name in self._parametric}
        if not keeps_rules(self._model(parametric), self._family.rules):
            return 0
        if self._max_params is None:
            multiple = self._exceed_costs(point, parametric)
        else:
            multiple = self._fit_params(parametric, self._max_params)
        while multiple and not self._keeps_costs(self._costs(point, parametric, multiple)):
            multiple -= 1
        return multiple * self._step

    def _fit_params(self, parametric: Values, most: float) -> int:
        """Return the largest multiple by bisection, which is exact: parameters grow with the width."""

        def count_params(multiple: int) -> int:
            model = self._model(parametric | {self._family.width: multiple * self._step})
            params: int = self._family.count(model).params
            return params

        beyond = 1
        while count_params(beyond) <= most:
            beyond *= 2
        return bisect_right(range(1, beyond), most, key=count_params)

    def _exceed_costs(self, point: Values, parametric: Values) -> int:
        """Return a multiple beyond which nothing fits: too costly, and more costly than at half of it.

        Cost need not grow with the width everywhere: an embedding of fixed size takes fewer positions in a
        wider model. Where it is too high and has grown over a doubling, it goes on growing.
        """
        multiple, before = 1, self._costs(point, parametric, 1)
        while True:
            multiple *= 2
            costs = self._costs(point, parametric, multiple)
            if any(_exceeds_and_grows(bound, before, costs) for bound in self._cost_bounds):
                return multiple
            before = costs

    def _keeps_costs(self, costs: Costs) -> bool:
        return all(bound.holds(costs) for bound in self._cost_bounds)

    def _costs(self, point: Values, parametric: Values, multiple: int) -> Costs:
        """Return the bounded costs at a multiple of the step.

        A width that makes no valid model stands for one with the same weights and default cycles and heads: it
        is not stepped over, and the point is found invalid later.
        """
        width = {self._family.width: multiple * self._step}
        values = self._base | point | width
        is_derived = self._derive(values)
        model = self._model({name: values[name] for name in self._defaults})
        if not (is_derived and keeps_rules(model, self._family.rules)):
            model, values = self._model(parametric | width), self._base
        training = {name: values[name] for name in COUNTED_TRAINING}
        train = construct_unvalidated(TrainConfig, vars(self._train) | training)
        names = [bound.constraint.name for bound in self._cost_bounds]
        return compute_costs(CostModel(self._family, model, train), names)

    def _model(self, fields: Mapping[str, Any]) -> Any:
        return construct_unvalidated(self._family.config_class, fields)


def _exceeds_and_grows(bound: Bound, before: Costs, after: Costs) -> bool:
    name = bound.constraint.name
    return not bound.holds(before) and not bound.holds(after) and after[name] > before[name]
