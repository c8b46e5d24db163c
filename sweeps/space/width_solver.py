"""The widest model that keeps every upper bound of a budget, for one point of a space or for arrays of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from hrm.models.registry import Family
from sweeps.space.constraints import COUNTED_TRAINING, PARAMS, Bound, Budget, CostModel, row_keys

MOST_WIDTHS_KEPT = 100_000
"""Filled widths of an enumeration that are kept, so that building a candidate need not search for its own."""

Values = dict[str, Any]
"""Field name to a value or an array of numbers."""


class WidthSolver:
    """Finds the largest multiple of a step that a width may have.

    Args:
        family: the width is its lattice's.
        meter: counts.
        budget: its upper bounds, at least one.
        step: the width's.
        defaults: of the model's fields.
        base: of all fields, training included.
        after: names that are derived from the width.
        read: names that these read, beside the width.
        derive: sets the values of `after` and returns where all of them are what their fields take.
    """

    def __init__(
        self,
        family: Family,
        meter: CostModel,
        budget: Budget,
        step: int,
        defaults: Values,
        base: Values,
        after: Collection[str],
        read: Collection[str],
        derive: Callable[[Values], Any],
    ) -> None:
        self._family, self._meter, self._step, self._derive = family, meter, step, derive
        self._defaults, self._base = defaults, base
        self._width = family.lattice.width
        self._on_size = [bound for bound in budget.upper_bounds if bound.measure is PARAMS]
        self._on_cost = [bound for bound in budget.upper_bounds if bound.measure is not PARAMS]
        self._bearing = [name for name in defaults if name not in {self._width, *family.lattice.weightless}]
        view_as_of = self._bearing
        if self._on_cost:
            view_as_of = list(dict.fromkeys([*defaults, *COUNTED_TRAINING, *sorted(read)]))
        self._deciding = [name for name in view_as_of if name != self._width and name not in after]
        self._kept: dict[tuple[Any, ...], int] = {}

    def fill(self, values: Values) -> tuple[Any, Any]:
        """The widths of the points with these values, 1 where there is none, and where there is one."""
        view_as_of = {name: values[name] for name in self._deciding}
        bearing = {name: values[name] for name in self._bearing}
        # Whatever can be wrong with these fields is wrong at any width; a model cannot be counted with them.
        valid = self._family.lattice.valid(self._defaults | bearing)
        columns = {name: value for name, value in view_as_of.items() if isinstance(value, np.ndarray)}
        if not columns:
            key = tuple(view_as_of.values())
            if key not in self._kept:
                self._kept[key] = int(self._widest(view_as_of, 1)[0]) if valid else 0
            return max(self._kept[key], 1), self._kept[key] > 0
        if not np.any(valid):
            return 1, False
        some = int(np.argmax(np.broadcast_to(valid, len(next(iter(columns.values()))))))
        sound = {name: np.where(valid, column, column[some]) for name, column in columns.items()}
        _, first, inverse = np.unique(row_keys(sound), return_index=True, return_inverse=True)
        distinct = view_as_of | {name: column[first] for name, column in sound.items()}
        widths = self._widest(distinct, len(first))
        if len(first) <= MOST_WIDTHS_KEPT:
            columns_kept = (np.broadcast_to(value, len(first)).tolist() for value in distinct.values())
            self._kept.update(zip(zip(*columns_kept, strict=True), widths.tolist(), strict=True))
        width = widths[inverse]
        return np.maximum(width, 1), (width > 0) & valid

    def _widest(self, fields: Values, size: int) -> np.ndarray:
        """For each of `size` points the largest width within the bounds, 0 where there is none."""
        multiple = (self._widest_by_size if self._on_size else self._beyond_cost)(fields, size)
        active = np.flatnonzero(multiple) if self._on_cost else np.zeros(0, dtype=np.int64)
        while len(active):
            costs = self._costs(fields, multiple, active)
            active = active[~np.all([bound.holds(costs) for bound in self._on_cost], axis=0)]
            multiple[active] -= 1
            active = active[multiple[active] > 0]
        return multiple * self._step

    def _widest_by_size(self, fields: Values, size: int) -> np.ndarray:
        """By bisection, which is exact: parameters grow with the width (`Lattice.width`)."""
        (bound,) = self._on_size
        bearing = {name: fields[name] for name in self._bearing}

        def fits(multiple: np.ndarray) -> np.ndarray:
            counts = self._family.count_arrays(bearing | {self._width: multiple * self._step})
            inside: np.ndarray = bound.holds(counts)
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
        return low

    def _beyond_cost(self, fields: Values, size: int) -> np.ndarray:
        """A width beyond which nothing fits: too costly, and twice as costly a doubling before already.

        Cost need not grow with the width everywhere: an embedding of fixed size takes fewer positions in a
        wider model. Where it is too high and has grown over a doubling, it goes on growing.
        """
        multiple = np.ones(size, dtype=np.int64)
        active = np.arange(size)
        before = self._costs(fields, multiple, active)
        while len(active):
            multiple[active] *= 2
            costs = self._costs(fields, multiple, active)
            over = np.any([_too_much_and_growing(bound, before, costs) for bound in self._on_cost], axis=0)
            before = {name: column[~over] for name, column in costs.items()}
            active = active[~over]
        return multiple

    def _costs(self, fields: Values, multiple: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Bounded figures of some of the points, at these multiples of the step."""
        names = [bound.measure.name for bound in self._on_cost]
        width = multiple[rows] * self._step
        values = self._base | _taken(fields, rows) | {self._width: width}
        typed = self._derive(values)
        model = {name: values[name] for name in self._defaults}
        valid = np.broadcast_to(typed & self._family.lattice.valid(model), len(rows))
        training = {name: values[name] for name in COUNTED_TRAINING}
        whole = np.flatnonzero(valid)
        # A width that makes no valid model stands for one with the same weights and default cycles and heads:
        # it is not stepped over, and the point is found invalid later.
        broken = np.flatnonzero(~valid)
        bearing = {name: values[name] for name in (*self._bearing, self._width)}
        stand_in = self._defaults | bearing
        base = {name: self._base[name] for name in COUNTED_TRAINING}
        costs = {name: np.empty(len(rows), dtype=np.int64) for name in names}
        for at, fields_of, rules in ((whole, model, training), (broken, stand_in, base)):
            part = self._meter.figures_of(_taken(fields_of, at), _taken(rules, at), len(at), names)
            for name, column in part.items():
                costs[name][at] = column
        return costs


def _too_much_and_growing(
    bound: Bound, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> np.ndarray:
    figure = bound.measure.name
    is_over: np.ndarray = ~bound.holds(before) & ~bound.holds(after) & (after[figure] > before[figure])
    return is_over


def _taken(values: Mapping[str, Any], rows: np.ndarray) -> Values:
    return {name: value[rows] if isinstance(value, np.ndarray) else value for name, value in values.items()}
