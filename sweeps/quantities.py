"""Quantities as a user writes them: `0.5M` parameters, `5.2G` FLOPs, `64M` or `2GiB` bytes. Read exactly."""

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
    """What is counted, and how its multiples may be written.

    Args:
        noun: of many: `parameters`.
        examples: for messages.
        multiples: factor of each suffix, in lower case.
        most: the largest count.
    """

    noun: str
    examples: str
    multiples: Mapping[str, int]
    most: int = 10**18
    """Counts beyond it do not fit the arrays that count millions of models."""


PARAMETERS = Unit("parameters", "527490, 500k, 0.5M or 1.2G", _DECIMAL | {"b": 10**9})
FLOPS = Unit("FLOPs", "5155291136, 500M, 5.2G or 1.5T", _DECIMAL)
BYTES = Unit(
    "bytes",
    "67108864, 64M (64,000,000), 64MiB (67,108,864) or 2GiB",
    {f"{name}{b}": factor for name, factor in (_DECIMAL | _BINARY).items() for b in ("", "b")},
)
TRAINING_FLOPS = Unit("FLOPs", "1e15, 500T or 2.5P", _DECIMAL, most=10**27)


def parse_count(given: Any, unit: Unit, where: str) -> int:
    """A positive whole number, exactly.

    Raises:
        BudgetError: it cannot be read, or is no whole number above 0.
    """
    count = parse_decimal(given, unit)
    if count is None or count != count.to_integral_value():
        raise BudgetError(where, given, f"must be a whole number of {unit.noun} such as {unit.examples}")
    if not 0 < count <= unit.most:
        raise BudgetError(where, given, "must be above 0" if count <= 0 else f"must be at most {unit.most:,}")
    return int(count)


def parse_decimal(given: Any, unit: Unit) -> Decimal | None:
    """The number that is written, exactly; None if it is none."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    match = _NUMBER.fullmatch(str(given).strip())
    if match is None or match[3].lower() not in unit.multiples:
        return None
    digits, exponent, multiple = match.groups()
    return Decimal(digits).scaleb(int(exponent or 0)) * unit.multiples[multiple.lower()]
