"""Which points of a space may be trained: valid, within the budget, within the FLOPs of a trial."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from hrm.models.registry import Family
from sweeps.space.budget import Budget, FlopsBudget
from sweeps.space.constraints import (
    FLOPS_PER_STEP,
    PARAMS,
    CostModel,
    Costs,
    compute_costs,
)
from sweeps.space.resolver import Resolved, Resolver

INVALID = 2.0
"""What is no valid model counts as so many times too large."""


class FeasibilityChecker:
    """Counts points and checks them against the budget.

    Args:
        reported: names of constraints to count beside those that decide.
    """

    def __init__(
        self,
        resolver: Resolver,
        family: Family,
        budget: Budget,
        flops_budget: FlopsBudget,
        reported: Collection[str] = (),
    ) -> None:
        self.resolver = resolver
        self._family = family
        self._bounds = budget.counted
        self._max_flops_per_step = flops_budget.max_flops_per_step
        bounded = [bound.constraint.name for bound in self._bounds]
        self.counted = list(dict.fromkeys([PARAMS.name, FLOPS_PER_STEP.name, *bounded, *reported]))
        """Names of the constraints that are counted of every point."""
        self.cost_only_fields = family.cost_only_fields

    def count(self, point: Resolved) -> Costs:
        """Return the costs of a valid point."""
        return compute_costs(CostModel(self._family, point.model, point.train), self.counted)

    def is_feasible(self, costs: Costs) -> bool:
        """Check the costs of a valid point against the budget."""
        most = self._max_flops_per_step
        return (most is None or costs[FLOPS_PER_STEP.name] <= most) and all(
            bound.holds(costs) for bound in self._bounds
        )

    def violation(self, params: Mapping[str, Any]) -> float:
        """Return how far a point is from being feasible: at most 0 where it is, above where not.

        The largest logarithm of a cost over its upper bound, or of a lower bound over its cost; of what is no
        valid model that of `INVALID`, for it has no costs. Where nothing bounds a valid one, the opposite.
        """
        point = self.resolver.resolve(self.resolver.convert(params))
        if point is None:
            return math.log(INVALID)
        costs = self.count(point)
        violations = [bound.violation(costs) for bound in self._bounds]
        if self._max_flops_per_step is not None:
            violations.append(math.log(costs[FLOPS_PER_STEP.name] / self._max_flops_per_step))
        return max(violations, default=-math.log(INVALID))
