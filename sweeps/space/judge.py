"""Which of many points of a space may be trained: valid, within the budget, within the compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hrm.errors import ConfigError
from hrm.families import Family
from sweeps.space.budget import Budget
from sweeps.space.equal_compute import Compute
from sweeps.space.resolver import Resolver, Values
from sweeps.space.rows import row_keys


@dataclass(frozen=True)
class Judged:
    """The valid ones among some points, as arrays with an element for each of them.

    Args:
        positions: where each stands among the points that were judged.
        num_params: trainable plus puzzle-embedding parameters.
        flops_per_step: training FLOPs of an optimizer step of the point's own batch.
        architectures: equal for equal architectures.
        keys: equal for equal architectures under equal training values (of those judged).
        feasible: within the budget and the compute.
    """

    positions: np.ndarray
    num_params: np.ndarray
    flops_per_step: np.ndarray
    architectures: np.ndarray
    keys: np.ndarray
    feasible: np.ndarray


class Judge:
    """Judges points by their searched values."""

    def __init__(self, resolver: Resolver, family: Family, budget: Budget, compute: Compute) -> None:
        self._resolver = resolver
        self._family = family
        self._budget = budget
        self._compute = compute
        space = resolver.space
        self._derived_training = [name for name in space.derived if space.fields.section(name) == "train"]
        self._training = [name for name in space.parameters if space.fields.section(name) == "train"]

    def judge(self, searched: Mapping[str, Any], size: int, multiple: int | None = None) -> Judged:
        """Judges `size` points.

        Args:
            searched: an array of `size` numbers, or one value for all points, for each searched name.
            multiple: as for `Resolver.resolve`.
        """
        values, holds = self._resolver.resolve(searched, multiple)
        model = self._resolver.model_of(values)
        valid = np.broadcast_to(holds & self._family.lattice.valid(model) & self._trainable(values), size)
        positions = np.flatnonzero(valid)
        model, values = _taken(model, positions), _taken(values, positions)
        architectures = _full(row_keys(self._family.lattice.architectures(model)), len(positions))
        training = {name: values[name] for name in (*self._training, *self._derived_training)}
        keys = architectures + row_keys(training) if training else architectures
        num_params, flops = self._counts(model, architectures)
        flops = flops * values["batch_size"] * values["accumulation"]
        return Judged(positions, num_params, flops, architectures, keys, self._fits(num_params, flops))

    def _counts(self, model: Values, architectures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parameters, and FLOPs of a step of batch size 1: each architecture is counted once."""
        if not len(architectures):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        _, first, inverse = np.unique(architectures, return_index=True, return_inverse=True)
        counts = self._family.count_arrays(_taken(model, first))
        return (
            _full(counts["params"], len(first))[inverse],
            _full(counts["flops_per_step"], len(first))[inverse],
        )

    def _fits(self, num_params: np.ndarray, flops: np.ndarray) -> np.ndarray:
        fits = np.ones(len(num_params), dtype=bool)
        if self._budget.max_params is not None:
            fits &= num_params <= self._budget.max_params
        if self._budget.min_params is not None:
            fits &= num_params >= self._budget.min_params
        if self._compute.most_flops_per_step is not None:
            fits &= flops <= self._compute.most_flops_per_step
        return fits

    def _trainable(self, values: Values) -> Any:
        """Where derived training values keep their fields' rules; the space checked the searched ones."""
        holds: Any = True
        for name in self._derived_training:
            distinct, inverse = np.unique(np.asarray(values[name]), return_inverse=True)
            allowed = np.array([self._allows(name, value.item()) for value in distinct])[inverse]
            holds = holds & (allowed if isinstance(values[name], np.ndarray) else allowed.item())
        return holds

    def _allows(self, name: str, value: Any) -> bool:
        try:
            self._resolver.space.fields.classes["train"](**{name: value})
        except ConfigError:
            return False
        return True


def _taken(values: Mapping[str, Any], positions: np.ndarray) -> Values:
    return {
        name: value[positions] if isinstance(value, np.ndarray) else value for name, value in values.items()
    }


def _full(column: np.ndarray, size: int) -> np.ndarray:
    return np.broadcast_to(np.ravel(column), size)
