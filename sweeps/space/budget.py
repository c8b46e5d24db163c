"""The parameter budget: what a user may write, and the two exact bounds that it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from hrm.errors import UnknownNameError
from sweeps.config import BudgetConfig
from sweeps.errors import BudgetError

UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}
ISO_PARAMETER = Decimal("0.95")
"""Only shapes above this share of the budget are compared as equal in parameters."""

_LARGEST = 10**18
"""Counts beyond it do not fit the arrays that count millions of models."""
_COUNT = re.compile(r"([+-]?\d[\d_]*\.?\d*|[+-]?\.\d+)(?:e([+-]?\d{1,3}))?\s*([kmbg]?)", re.IGNORECASE)
_RULE = "must be a whole number of parameters such as 527490, 500k, 0.5M or 1.2G"


@dataclass(frozen=True)
class Budget:
    """Inclusive bounds on trainable plus puzzle-embedding parameters; None is no bound."""

    max_params: int | None = None
    min_params: int | None = None

    def misfit(self, num_params: int) -> str | None:
        """Why a model of that size is out of the budget; None when it is within."""
        if self.max_params is not None and num_params > self.max_params:
            return f"exceeds budget.max_params={self.max_params:,}"
        if self.min_params is not None and num_params < self.min_params:
            return f"is below budget.min_params={self.min_params:,}"
        return None

    def fullness(self, num_params: int) -> float | None:
        """The share of `max_params` that a model uses; None without that bound."""
        return None if self.max_params is None else num_params / self.max_params

    def is_iso_parameter(self, num_params: int) -> bool:
        """Whether a model is near enough to `max_params` to be compared as equal in parameters."""
        return self.max_params is not None and ISO_PARAMETER * self.max_params < num_params <= self.max_params


def parse_count(given: Any, where: str = "budget") -> int:
    """A positive count of parameters: `527490`, `"0.5M"`, `"500k"`, `"1.2G"` or `"1.2B"`, exactly.

    Raises:
        BudgetError: it cannot be read, or is no whole number above 0.
    """
    count = _decimal(given)
    if count is None or count != count.to_integral_value():
        raise BudgetError(where, given, _RULE)
    if not 0 < count <= _LARGEST:
        raise BudgetError(where, given, "must be above 0" if count <= 0 else f"must be at most {_LARGEST:,}")
    return int(count)


def resolve_budget(config: BudgetConfig, count_preset: Callable[[str], int]) -> Budget:
    """The bounds that a configuration means.

    Args:
        count_preset: parameters of the preset of that name, built for the sweep's task.

    Raises:
        BudgetError: a bound cannot be read, is not above 0, or the lower is above the upper.
        UnknownNameError: a name that is no preset.
    """
    where = "budget.max_params"
    most = None if config.max_params is None else _bound(config.max_params, count_preset, where)
    least = _least(config.min_params, most, count_preset)
    if most is not None and least is not None and least > most:
        raise BudgetError("budget.min_params", config.min_params,
                          f"{least:,} is above budget.max_params={most:,}")  # fmt: skip
    return Budget(most, least)


def _least(given: Any, most: int | None, count_preset: Callable[[str], int]) -> int | None:
    where = "budget.min_params"
    if given is None:
        return None
    share = _decimal(given)
    if share is None or not 0 < share < 1:
        return _bound(given, count_preset, where)
    if most is None:
        raise BudgetError(where, given, "is a share of budget.max_params, which is not set")
    return int((share * most).to_integral_value(ROUND_CEILING))


def _bound(given: Any, count_preset: Callable[[str], int], where: str) -> int:
    is_name = isinstance(given, str) and re.match(r"\s*[A-Za-z_]", given)
    if not is_name:
        return parse_count(given, where)
    try:
        return count_preset(given.strip())
    except UnknownNameError as error:
        raise UnknownNameError(where, given, f"{error.rule}, or a number", error.mend) from None


def _decimal(given: Any) -> Decimal | None:
    """The number that is written, exactly; None if it is none."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    match = _COUNT.fullmatch(str(given).strip())
    if match is None:
        return None
    digits, exponent, unit = match.groups()
    return Decimal(digits).scaleb(int(exponent or 0)) * UNITS[unit.lower()]
