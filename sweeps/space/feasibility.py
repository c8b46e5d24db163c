"""Which of many points of a space may be trained: valid, within the budget, within the compute."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hrm.models.registry import Family
from sweeps.space.constraints import (
    COUNTED_TRAINING,
    FLOPS_PER_STEP,
    PARAMS,
    Budget,
    CostModel,
    FlopsBudget,
    row_keys,
    training_keys,
)
from sweeps.space.resolver import Resolver
from sweeps.space.width_solver import Values

INVALID = 2.0
"""What is no valid model counts as so many times too large."""


@dataclass(frozen=True)
class FeasibilityResult:
    """The valid ones among some points, as arrays with an element for each of them.

    Args:
        positions: where each stands among the points that were judged.
        figures: of each measure that is judged, parameters and FLOPs per step among them.
        architectures: equal for equal architectures.
        keys: equal for equal architectures under equal training values (of those judged).
        feasible: within the budget and the compute.
    """

    positions: np.ndarray
    figures: dict[str, np.ndarray]
    architectures: np.ndarray
    keys: np.ndarray
    feasible: np.ndarray


class FeasibilityChecker:
    """Judges points by their searched values.

    Args:
        measured: names of measures to count beside those that decide.
    """

    def __init__(
        self,
        resolver: Resolver,
        family: Family,
        meter: CostModel,
        budget: Budget,
        compute: FlopsBudget,
        measured: Collection[str] = (),
    ) -> None:
        self._resolver = resolver
        self._family = family
        self._meter = meter
        self._bounds = budget.bounds
        self._compute = compute
        bounded = [bound.measure.name for bound in self._bounds]
        self._measured = list(dict.fromkeys([PARAMS.name, FLOPS_PER_STEP.name, *bounded, *measured]))
        space = resolver.space
        self._training = [
            name for name in (*space.parameters, *space.derived) if space.fields.section(name) == "train"
        ]

    def judge(self, searched: Mapping[str, Any], size: int, multiple: int | None = None) -> FeasibilityResult:
        """Judges `size` points.

        Args:
            searched: an array of `size` numbers, or one value for all points, for each searched name.
            multiple: as for `Resolver.resolve`.
        """
        values, holds = self._resolver.resolve(searched, multiple)
        model = self._resolver.model_of(values)
        valid = np.broadcast_to(holds & self._family.lattice.valid(model), size)
        positions = np.flatnonzero(valid)
        model, values = _taken(model, positions), _taken(values, positions)
        architectures = _full(row_keys(self._family.lattice.architectures(model)), len(positions))
        training = {name: values[name] for name in self._training}
        keys = architectures + row_keys(training) if training else architectures
        figures = self._figures(model, values, architectures)
        return FeasibilityResult(positions, figures, architectures, keys, self._fits(figures, len(positions)))

    def excess(self, searched: Mapping[str, Any]) -> float:
        """How far one point is from being feasible: at most 0 where it is, above where not.

        The largest logarithm of a figure over its upper bound, or of a lower bound over its figure; of what is no
        valid model that of `INVALID`, for it has no figures. Where nothing bounds a valid one, the opposite.
        """
        judged = self.judge(searched, 1)
        if not len(judged.positions):
            return math.log(INVALID)
        figures = {name: int(column[0]) for name, column in judged.figures.items()}
        excesses = [bound.excess(figures) for bound in self._bounds]
        if self._compute.most_flops_per_step is not None:
            excesses.append(math.log(figures[FLOPS_PER_STEP.name] / self._compute.most_flops_per_step))
        return max(excesses, default=-math.log(INVALID))

    def _figures(self, model: Values, values: Values, architectures: np.ndarray) -> dict[str, np.ndarray]:
        """Each architecture is counted once for all training that costs the same."""
        training = {name: values[name] for name in COUNTED_TRAINING}
        alike = architectures + training_keys(training, len(architectures))
        _, first, inverse = np.unique(alike, return_index=True, return_inverse=True)
        distinct = self._meter.figures_of(
            _taken(model, first), _taken(training, first), len(first), self._measured
        )
        return {name: column[inverse] for name, column in distinct.items()}

    def _fits(self, figures: Mapping[str, np.ndarray], size: int) -> np.ndarray:
        fits = np.ones(size, dtype=bool)
        for bound in self._bounds:
            fits &= bound.holds(figures)
        if self._compute.most_flops_per_step is not None:
            fits &= figures[FLOPS_PER_STEP.name] <= self._compute.most_flops_per_step
        return fits


def _taken(values: Mapping[str, Any], positions: np.ndarray) -> Values:
    return {
        name: value[positions] if isinstance(value, np.ndarray) else value for name, value in values.items()
    }


def _full(column: np.ndarray, size: int) -> np.ndarray:
    return np.broadcast_to(np.ravel(column), size)
