"""The widest model that keeps every upper bound of a budget."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hrm.config.train_config import TrainConfig
from hrm.config.validation import construct_unvalidated, keeps_rules
from hrm.models.registry import Family
from sweeps.space.budget import Bound
from sweeps.space.constraints import PARAMS, CostModel, Costs, compute_costs

WIDTHS_KEPT = 100_000
"""Solved widths that are kept, so that building a candidate need not search for its own."""


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
        (64, 48)
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
        train = construct_unvalidated(
            TrainConfig, {name: values[name] for name in TrainConfig.__dataclass_fields__}
        )
        names = [bound.constraint.name for bound in self._cost_bounds]
        return compute_costs(CostModel(self._family, model, train), names)

    def _construct_model(self, fields: Mapping[str, Any]) -> Any:
        return construct_unvalidated(self._family.config_class, fields)
