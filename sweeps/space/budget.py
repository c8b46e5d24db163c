"""The budget: what a user may write, and the exact bounds that it means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple

from hrm.errors import UnknownNameError
from sweeps.config import BudgetConfig
from sweeps.errors import BudgetError
from sweeps.quantities import parse_count, parse_decimal
from sweeps.space.measures import MEASURES, Figures, Measure

ISO_PARAMETER = Decimal("0.95")
"""Only shapes above this share of the budget are compared as equal in parameters."""


class Bound(NamedTuple):
    """One inclusive bound on one figure."""

    measure: Measure
    side: str
    """`max` or `min`."""
    value: int

    @property
    def option(self) -> str:
        """As a user writes it: `budget.max_params`."""
        return f"budget.{self.side}_{self.measure.name}"

    def holds(self, figures: Mapping[str, Any]) -> Any:
        """Whether figures (of one model, or arrays of many) keep it."""
        figure = figures[self.measure.name]
        return figure <= self.value if self.side == "max" else figure >= self.value

    def excess(self, figures: Figures) -> float:
        """The logarithm of how many times a model's figure breaks it: above 0 where it does not hold."""
        figure = figures[self.measure.name]
        return math.log(figure / self.value if self.side == "max" else self.value / figure)

    def __str__(self) -> str:
        return f"{self.option}={self.value:,}"


@dataclass(frozen=True)
class Budget:
    """Inclusive bounds on the figures of `sweeps.space.measures`; None is no bound."""

    max_params: int | None = None
    min_params: int | None = None
    max_flops_per_step: int | None = None
    min_flops_per_step: int | None = None
    max_memory: int | None = None
    min_memory: int | None = None
    max_inference_flops: int | None = None
    min_inference_flops: int | None = None

    @property
    def bounds(self) -> list[Bound]:
        """All that are set, the upper ones first."""
        named = [Bound(measure, side, getattr(self, f"{side}_{measure.name}"))
                 for side in ("max", "min") for measure in MEASURES]  # fmt: skip
        return [bound for bound in named if bound.value is not None]

    @property
    def upper_bounds(self) -> list[Bound]:
        return [bound for bound in self.bounds if bound.side == "max"]

    def misfit(self, figures: Figures) -> str | None:
        """Why a model with these figures is out of the budget; None when it is within."""
        broken = [
            f"{'exceeds' if bound.side == 'max' else 'is below'} {bound}"
            for bound in self.bounds
            if not bound.holds(figures)
        ]
        return "; ".join(broken) or None

    def fullness(self, num_params: int) -> float | None:
        """The share of `max_params` that a model uses; None without that bound."""
        return None if self.max_params is None else num_params / self.max_params

    def is_iso_parameter(self, num_params: int) -> bool:
        """Whether a model is near enough to `max_params` to be compared as equal in parameters."""
        return self.max_params is not None and ISO_PARAMETER * self.max_params < num_params <= self.max_params


def resolve_budget(config: BudgetConfig, preset_figures: Callable[[str], Figures]) -> Budget:
    """The bounds that a configuration means.

    Args:
        preset_figures: of the preset of that name, built for the sweep's task and rules.

    Raises:
        BudgetError: a bound cannot be read, is not above 0, or the lower is above the upper.
        UnknownNameError: a name that is no preset.
    """
    return Budget(**dict(_bounds(config, preset_figures)))


def _bounds(
    config: BudgetConfig, preset_figures: Callable[[str], Figures]
) -> Iterator[tuple[str, int | None]]:
    for measure in MEASURES:
        upper, lower = f"max_{measure.name}", f"min_{measure.name}"
        given, least_given = getattr(config, upper), getattr(config, lower)
        most = None if given is None else read_figure(given, measure, preset_figures, f"budget.{upper}")
        least = _least(least_given, most, measure, preset_figures)
        if most is not None and least is not None and least > most:
            raise BudgetError(f"budget.{lower}", least_given, f"{least:,} is above budget.{upper}={most:,}")
        yield upper, most
        yield lower, least


def _least(
    given: Any, most: int | None, measure: Measure, preset_figures: Callable[[str], Figures]
) -> int | None:
    where = f"budget.min_{measure.name}"
    if given is None:
        return None
    share = parse_decimal(given, measure.unit)
    if share is None or not 0 < share < 1:
        return read_figure(given, measure, preset_figures, where)
    if most is None:
        raise BudgetError(where, given, f"is a share of budget.max_{measure.name}, which is not set")
    return int((share * most).to_integral_value(ROUND_CEILING))


def read_figure(given: Any, measure: Measure, preset_figures: Callable[[str], Figures], where: str) -> int:
    """A number as a user writes it, or a preset's name: that preset's own figure.

    Raises:
        BudgetError: it cannot be read, or is not above 0.
        UnknownNameError: a name that is no preset.
    """
    is_name = isinstance(given, str) and re.match(r"\s*[A-Za-z_]", given)
    if not is_name:
        return parse_count(given, measure.unit, where)
    try:
        return preset_figures(given.strip())[measure.name]
    except UnknownNameError as error:
        raise UnknownNameError(where, given, f"{error.rule}, or a number", error.mend) from None
