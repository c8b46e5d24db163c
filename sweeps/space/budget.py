"""The budget of a sweep: inclusive bounds on costs, and the training FLOPs that every trial spends."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from hrm.config.errors import UnknownNameError
from sweeps.config import BudgetConfig
from sweeps.errors import BudgetError
from sweeps.quantities import parse_decimal, parse_quantity
from sweeps.space.constraints import CONSTRAINTS, PARAMS, Constraint, Costs

ISO_PARAMETER = Decimal("0.95")
"""Only shapes above this share of the budget are compared as equal in parameters."""


@dataclass(frozen=True)
class Bound:
    """One inclusive bound on one cost.

    Example:
        >>> bound = Bound(PARAMS, "max", 500_000)
        >>> str(bound), bound.holds({"params": 500_001})
        ('budget.max_params=500,000', False)
    """

    constraint: Constraint
    side: str
    """`max` or `min`."""
    value: float

    @property
    def option(self) -> str:
        """The option that sets it, such as `budget.max_params`."""
        return f"budget.{self.side}_{self.constraint.name}"

    def holds(self, costs: Costs) -> bool:
        """Check whether a configuration of these costs keeps the bound."""
        cost = costs[self.constraint.name]
        return cost <= self.value if self.side == "max" else cost >= self.value

    def compute_violation(self, costs: Costs) -> float:
        """Return the logarithm of how many times the cost breaks the bound: above 0 where it does not hold."""
        cost = costs[self.constraint.name]
        return math.log(cost / self.value if self.side == "max" else self.value / cost)

    def __str__(self) -> str:
        return f"{self.option}={self.value:,}"


@dataclass(frozen=True)
class Budget:
    """All bounds of a sweep, the upper ones first.

    Example:
        >>> budget = Budget.of(max_params=1000)
        >>> budget.describe_violations({"params": 1200})
        'exceeds budget.max_params=1,000'
        >>> budget.is_iso_parameter(951), budget.is_iso_parameter(950)
        (True, False)
    """

    bounds: tuple[Bound, ...] = ()

    @property
    def counted(self) -> list[Bound]:
        """Those that are checked before anything is trained."""
        return [bound for bound in self.bounds if not bound.constraint.measured]

    @property
    def measured(self) -> list[Bound]:
        """Those that a trial checks on its device before its first step."""
        return [bound for bound in self.bounds if bound.constraint.measured]

    @classmethod
    def of(cls, **bounds: float | None) -> Budget:
        """Return the budget with bounds as options spell them, such as `max_params`; None is no bound."""
        named = [
            Bound(CONSTRAINTS[name.partition("_")[2]], name.partition("_")[0], value)
            for name, value in bounds.items()
            if value is not None
        ]
        return cls(tuple(sorted(named, key=lambda bound: bound.side == "min")))

    @property
    def max_params(self) -> int | None:
        """The largest number of parameters; None is any."""
        most = self.get("max", PARAMS)
        return None if most is None else int(most)

    @property
    def min_params(self) -> int | None:
        """The smallest number of parameters; None is any."""
        least = self.get("min", PARAMS)
        return None if least is None else int(least)

    def get(self, side: str, constraint: Constraint) -> float | None:
        """Return the `max` or `min` bound of a constraint; None where it has none."""
        values = (one.value for one in self.bounds if (one.side, one.constraint) == (side, constraint))
        return next(values, None)

    def describe_violations(self, costs: Costs) -> str | None:
        """Return which bounds these costs break, in a few words; None when they keep all they have a cost for."""
        broken = [
            f"{'exceeds' if bound.side == 'max' else 'is below'} {bound}"
            for bound in self.bounds
            if bound.constraint.name in costs and not bound.holds(costs)
        ]
        return "; ".join(broken) or None

    def compute_violations(self, costs: Costs) -> dict[str, float]:
        """Return how far measured costs are from their bounds, by constraint, as Optuna has it: above 0 is broken.

        >>> Budget.of(max_latency=0.02).compute_violations({"latency": 0.02})
        {'latency': 0.0}
        """
        found: dict[str, float] = {}
        for bound in self.measured:
            name = bound.constraint.name
            found[name] = max(found.get(name, -math.inf), bound.compute_violation(costs))
        return found

    def used_share(self, num_params: int) -> float | None:
        """Return the share of `max_params` that a model uses; None without that bound."""
        return None if self.max_params is None else num_params / self.max_params

    def is_iso_parameter(self, num_params: int) -> bool:
        """Check whether a model is near enough to `max_params` to be compared as equal in parameters."""
        most = self.max_params
        return most is not None and ISO_PARAMETER * most < num_params <= most


def resolve_budget(config: BudgetConfig, preset_costs: Callable[[str], Costs]) -> Budget:
    """Return the bounds that a configuration means.

    Args:
        preset_costs: of the preset of that name, built for the sweep's task and rules.

    Raises:
        BudgetError: a bound cannot be read, is not above 0, or the lower is above the upper.
        UnknownNameError: a name that is no preset.

    Example:
        >>> budget = resolve_budget(BudgetConfig(max_params="0.5M", min_params=0.8), preset_costs={}.get)
        >>> [str(bound) for bound in budget.bounds]
        ['budget.max_params=500,000', 'budget.min_params=400,000']
    """
    bounds = [bound for one in CONSTRAINTS.values() for bound in _read_bounds(config, one, preset_costs)]
    return Budget(tuple(sorted(bounds, key=lambda bound: bound.side == "min")))


def _read_bounds(
    config: BudgetConfig, constraint: Constraint, preset_costs: Callable[[str], Costs]
) -> Iterator[Bound]:
    upper, lower = f"max_{constraint.name}", f"min_{constraint.name}"
    most, given = getattr(config, upper), getattr(config, lower)
    if most is not None:
        most = read_cost(most, constraint, preset_costs, f"budget.{upper}")
        yield Bound(constraint, "max", most)
    if given is None:
        return
    share = parse_decimal(given, constraint.unit)
    if share is None or not 0 < share < 1 or not constraint.unit.is_whole:
        least = read_cost(given, constraint, preset_costs, f"budget.{lower}")
    elif most is None:
        raise BudgetError(f"budget.{lower}", given, f"is a share of budget.{upper}, which is not set")
    else:
        least = int((share * int(most)).to_integral_value(ROUND_CEILING))
    if most is not None and least > most:
        raise BudgetError(f"budget.{lower}", given, f"{least:,} is above budget.{upper}={most:,}")
    yield Bound(constraint, "min", least)


def read_cost(given: Any, constraint: Constraint, preset_costs: Callable[[str], Costs], where: str) -> float:
    """Return a cost as a user writes it: a number, or a preset's name for that preset's own cost.

    Raises:
        BudgetError: it cannot be read, or is not above 0.
        UnknownNameError: a name that is no preset.

    Example:
        >>> read_cost("tiny_demo", PARAMS, {"tiny_demo": {"params": 527_490}}.__getitem__, "budget.max_params")
        527490
    """
    is_name = isinstance(given, str) and re.match(r"\s*[A-Za-z_]", given)
    if not is_name or constraint.measured:
        number = parse_quantity(given, constraint.unit, where)
        return int(number) if constraint.unit.is_whole else float(number)
    try:
        return preset_costs(given.strip())[constraint.name]
    except UnknownNameError as error:
        raise UnknownNameError(where, given, f"{error.rule}, or a number", error.hint) from None


@dataclass(frozen=True)
class FlopsBudget:
    """The training compute of every trial.

    Args:
        steps: `train.steps`: the steps of the reference under equal FLOPs, of everyone under equal steps.
        num_reports: validations of a trial; each needs at least one step of its own.
        flops: training FLOPs that a trial may spend; None under equal steps.

    Example:
        >>> budget = FlopsBudget(steps=300, num_reports=10, flops=3_000)
        >>> budget.count_steps(flops_per_step=20), budget.max_flops_per_step
        (150, 300)
        >>> budget.describe_violation(flops_per_step=301)
        'has only 9 steps at equal compute, below train.num_reports=10'
    """

    steps: int
    num_reports: int
    flops: int | None

    def count_steps(self, flops_per_step: int) -> int:
        """Return the most whole steps that the FLOPs allow, which may be too few to train."""
        return self.steps if self.flops is None else self.flops // flops_per_step

    @property
    def max_flops_per_step(self) -> int | None:
        """The costliest step that still leaves one step for each report; None: any."""
        return None if self.flops is None else self.flops // self.num_reports

    def describe_violation(self, flops_per_step: int) -> str | None:
        """Return why a model cannot be trained within the FLOPs; None when it can."""
        most = self.max_flops_per_step
        if most is None or flops_per_step <= most:
            return None
        steps = self.count_steps(flops_per_step)
        word = "step" if steps == 1 else "steps"
        return f"has only {steps:,} {word} at equal compute, below train.num_reports={self.num_reports}"
