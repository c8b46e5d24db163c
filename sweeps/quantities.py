"""Quantities as a user writes them, read exactly: `0.5M` parameters, `5.2G` FLOPs, `2GiB` bytes, `20ms`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sweeps.errors import BudgetError

_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_NUMBER = re.compile(r"([+-]?\d[\d_]*\.?\d*|[+-]?\.\d+)(?:e([+-]?\d{1,3}))?\s*([a-z]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Unit:
    """How quantities of one kind may be written.

    Args:
        noun: their plural, such as `parameters`.
        examples: for messages.
        multiples: factor of each suffix, in lower case.
        is_whole: only whole numbers make sense.
    """

    noun: str
    examples: str
    multiples: Mapping[str, int | Decimal]
    is_whole: bool = True


PARAMETERS = Unit("parameters", "527490, 500k, 0.5M or 1.2G", _DECIMAL | {"b": 10**9})
FLOPS = Unit("FLOPs", "5155291136, 500M, 5.2G or 1.5T", _DECIMAL)
BYTES = Unit(
    "bytes",
    "67108864, 64M (64,000,000), 64MiB (67,108,864) or 2GiB",
    {f"{name}{b}": factor for name, factor in (_DECIMAL | _BINARY).items() for b in ("", "b")},
)
TRAINING_FLOPS = Unit("FLOPs", "1e15, 500T or 2.5P", _DECIMAL)
SECONDS = Unit(
    "seconds",
    "0.02, 20ms or 500us",
    {"": 1, "s": 1, "ms": Decimal("1e-3"), "us": Decimal("1e-6")},
    is_whole=False,
)
LARGEST = 10**27
"""Larger quantities are mistakes."""


def parse_count(given: Any, unit: Unit, where: str) -> int:
    """Return a positive whole number, exactly.

    Raises:
        BudgetError: it cannot be read, or is no whole number above 0.

    Example:
        >>> parse_count("0.5M", PARAMETERS, "budget.max_params")
        500000
    """
    assert unit.is_whole
    return int(parse_quantity(given, unit, where))


def parse_quantity(given: Any, unit: Unit, where: str) -> Decimal:
    """Return a positive number.

    Raises:
        BudgetError: it cannot be read, is not above 0, or is no whole number where the unit wants one.

    Example:
        >>> parse_quantity("20ms", SECONDS, "budget.max_latency")
        Decimal('0.020')
    """
    number = parse_decimal(given, unit)
    if number is None or (unit.is_whole and number != number.to_integral_value()):
        kind = "whole number" if unit.is_whole else "number"
        raise BudgetError(where, given, f"must be a {kind} of {unit.noun} such as {unit.examples}")
    if not 0 < number <= LARGEST:
        raise BudgetError(where, given, "must be above 0" if number <= 0 else f"must be at most {LARGEST:,}")
    return number


def parse_decimal(given: Any, unit: Unit) -> Decimal | None:
    """Return the number that is written, exactly; None if it is none.

    Example:
        >>> parse_decimal("1.5k", PARAMETERS)
        Decimal('1500.0')
    """
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    match = _NUMBER.fullmatch(str(given).strip())
    if match is None or match[3].lower() not in unit.multiples:
        return None
    digits, exponent, multiple = match.groups()
    return Decimal(digits).scaleb(int(exponent or 0)) * unit.multiples[multiple.lower()]
